--@ time number shape slots share victims freenode evenly coming ask
-- Preemption: in a pool that is set so, jobs that run are stopped for ones that are better placed.
-- Ready queues looked at per shape, and jobs stopped per call: about a millisecond. Each that has stopped calls for more.
local HEADS, STOPPED = 50, 30

-- The ready queues of a pool: {queue, shape, order, exp}, best first.
local function wanting(pool)
  local found = {}
  for _, shape in ipairs(redis.call('SMEMBERS', SHAPES .. pool)) do
    local some = redis.call('ZRANGE', READY .. pool .. ':' .. shape, 0, HEADS - 1, 'WITHSCORES')
    for i = 1, #some, 2 do
      local score = tonumber(some[i + 1])
      found[#found + 1] = {queue = some[i], shape = shape, score = score, order = math.floor(score / 128),
        exp = string.match(some[i], '^[^~]*')}
    end
  end
  table.sort(found, function(a, b) return a.score < b.score end)
  return found
end

-- How many jobs of a ready queue could run, `room` being how many more its experiment may have, as far as that is known.
local function wanted(one, room)
  if not room[one.exp] then
    local e = redis.pcall('HMGET', EXPERIMENT .. one.exp, 'max', 'running', 'canary')
    room[one.exp] = math.max((most(e[1], e[3]) or 2 ^ 53) - number(e[2]), 0)
  end
  local n = math.min(redis.call('LLEN', RQ_QUEUE .. one.queue), room[one.exp])
  room[one.exp] = room[one.exp] - n
  return n
end

-- Takes of a list, from its front, the first that fits a shape and was not taken, if it stands behind `order`. Where each
-- shape got to is kept: what does not fit it once never will.
local function take_fitting(list, shape, order)
  list.at = list.at or {}
  local i = list.at[shape] or 1
  while i <= #list or list.more and list.more() do
    local one = list[i]
    if one and order and one.order <= order then return nil end
    if one then
      i = i + 1
      list.at[shape] = i
      if not one.taken and fits(shape, one.devices, one.memory, one.node) then
        one.taken = true
        return one
      end
    end
  end
end

-- The slots of other GPUs that the job runs on come free with it.
local function stop_for(pool, victim, name, now, coming)
  redis.call('HSET', RQ_JOB .. victim.id, 'pv', name)
  redis.call('HSET', EXPERIMENT .. victim.exp, 'preempted_by', name)
  expect(pool, victim.slot, {at = victim.at, ms = now, devices = victim.devices, memory = victim.memory, node = victim.node})
  for i, mate in ipairs(victim.mates or {}) do
    local c = {at = victim.at, ms = now, devices = victim.others[i], memory = victim.memory, node = victim.node}
    expect(pool, mate, c)
    coming[#coming + 1] = c
  end
  victim.noted, victim.taken = true, true
  ask(victim, 'preempt')
end

-- What has to be stopped for one job, which is nothing where a slot comes free for it; nil where nothing would help.
local function stopped_for(pool, want, victims, coming)
  if take_fitting(coming, want.shape) then return {} end
  local victim = take_fitting(victims, want.shape, want.order)
  if victim then return {victim} end
  local k = slots_of(want.shape)
  local node = k > 1 and best_node(pool, want, k, victims, coming)
  if not node then return nil end
  for _, one in ipairs(node.uses) do one.taken = true end
  return node.stop
end

-- Stops as many jobs of a pool as those that wait before them can use: the worst placed first, each on a slot that fits.
local function relieve(pool)
  local wants = redis.call('EXISTS', RQ_SUSPENDED) == 0 and wanting(pool) or {}
  if not wants[1] then return end
  local now = now_ms()
  if shares_fairly(pool) then
    local coming = coming_in(pool, now)
    return even_out(pool, wants, coming, now, STOPPED, take_fitting, function(job, name) stop_for(pool, job, name, now, coming) end)
  end
  local victims = victims_behind(pool, wants[1].order, now)
  if not victims.more() then return end -- nothing that runs stands behind what waits, as it should be
  local coming, room, left = coming_in(pool, now), {}, STOPPED
  for _, want in ipairs(wants) do
    for _ = 1, wanted(want, room) do
      local chosen = stopped_for(pool, want, victims, coming)
      if not chosen then break end
      for _, victim in ipairs(chosen) do
        stop_for(pool, victim, want.exp, now, coming)
        left = left - 1
      end
      if left <= 0 then return end
    end
  end
end

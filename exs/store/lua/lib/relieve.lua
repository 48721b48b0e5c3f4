--@ time number shape share drain held coming ask
-- Preemption: in a pool that is set so, jobs that run are stopped for ones that are better placed.
-- Ready queues looked at per shape, and jobs stopped per call.
local HEADS, STOPPED = 50, 100

-- The ready queues that stand before a place: {queue, shape, order, n: jobs that could run}, best first.
local function wanting(pool, before)
  local found, room = {}, {}
  for _, shape in ipairs(redis.call('SMEMBERS', SHAPES .. pool)) do
    local some = redis.call('ZRANGEBYSCORE', READY .. pool .. ':' .. shape, '-inf', string.format('(%.0f', before * 128), 'WITHSCORES',
      'LIMIT', 0, HEADS)
    for i = 1, #some, 2 do
      found[#found + 1] = {queue = some[i], shape = shape, score = tonumber(some[i + 1]), exp = string.match(some[i], '^[^~]*')}
    end
  end
  table.sort(found, function(a, b) return a.score < b.score end)
  for _, one in ipairs(found) do
    if not room[one.exp] then
      local e = redis.pcall('HMGET', EXPERIMENT .. one.exp, 'max', 'running', 'canary')
      room[one.exp] = math.max((most(e[1], e[3]) or 2 ^ 53) - number(e[2]), 0)
    end
    one.order = math.floor(one.score / 128)
    one.n = math.min(redis.call('LLEN', RQ_QUEUE .. one.queue), room[one.exp])
    room[one.exp] = room[one.exp] - one.n
  end
  return found
end

-- Where an experiment stands in a pool whose jobs may be stopped there; nil where they may not.
local function place_to_take(pool, name)
  if redis.pcall('HGET', EXPERIMENT .. name, 'preemptible') == '0' then return nil end
  return tonumber(redis.call('ZSCORE', ORDER .. pool, name) or nil)
end

-- Of the slots of a pool those whose jobs may be stopped, worst placed first, and those that come free anyhow. What a drained
-- slot runs is left alone: nothing could take its place.
local function sorted_out(pool, now)
  local places, victims, coming = {}, {}, coming_in(pool, now)
  local drains = redis.call('EXISTS', DRAINED) == 1
  for _, held in ipairs(held_in(pool, now)) do
    if places[held.exp] == nil then places[held.exp] = place_to_take(pool, held.exp) or false end
    held.order = places[held.exp]
    local out = drains and drained(held.slot, held.node, now)
    if not out and (held.st ~= 'RUNNING' or held.wn) then coming[held.slot] = held
    elseif not out and held.order then victims[#victims + 1] = held end
  end
  table.sort(victims, function(a, b)
    if a.order ~= b.order then return a.order > b.order end
    if a.ix ~= b.ix then return a.ix > b.ix end
    return a.id < b.id
  end)
  local free = {}
  for _, slot in pairs(coming) do free[#free + 1] = slot end
  return victims, free
end

-- Takes of a list, from its front, the first that fits a shape and was not taken. Where each shape got to is kept: what does
-- not fit it once never will.
local function take_fitting(list, shape, good)
  list.at = list.at or {}
  for i = list.at[shape] or 1, #list do
    local one = list[i]
    if good and not good(one) then return nil end
    list.at[shape] = i + 1
    if not one.taken and fits(shape, one.devices, one.memory, one.node) then
      one.taken = true
      return one
    end
  end
end

local function stop_for(pool, victim, name, now)
  redis.call('HSET', RQ_JOB .. victim.id, 'pv', name)
  redis.call('HSET', EXPERIMENT .. victim.exp, 'preempted_by', name)
  ask(victim, 'preempt')
  expect(pool, victim.slot, {at = victim.at, ms = now, devices = victim.devices, memory = victim.memory, node = victim.node})
end

-- Stops as many jobs of a pool as those that wait before them can use: the worst placed first, each on a slot that fits.
local function relieve(pool)
  if shares_fairly(pool) or redis.call('EXISTS', RQ_SUSPENDED) == 1 then return end
  local now = now_ms()
  local victims, coming = sorted_out(pool, now)
  local left = STOPPED
  for _, want in ipairs(victims[1] and wanting(pool, victims[1].order) or {}) do
    while want.n > 0 do
      local slot = take_fitting(coming, want.shape)
      local victim = not slot and take_fitting(victims, want.shape, function(one) return one.order > want.order end)
      if not slot and not victim then break end
      if victim then stop_for(pool, victim, want.exp, now) left = left - 1 end
      if left == 0 then return end
      want.n = want.n - 1
    end
  end
end

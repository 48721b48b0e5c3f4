--@ blame
-- The two-sided breaker. Jobs that fail alike while none succeeds pause their experiment: the fault is theirs. Different jobs
-- that fail fast on one slot drain the slot (lib/blame.lua). Nothing is written for a job that succeeds: an experiment's
-- successes are counted when one fails.
-- Whether jobs wait that a pause would save.
local function some_wait(name)
  for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do
    local listed, later = redis.pcall('LLEN', RQ_QUEUE .. queue), redis.pcall('ZCARD', RQ_SCHEDULED .. queue)
    if type(listed) == 'number' and listed > 0 or type(later) == 'number' and later > 0 then return true end
  end
  return false
end

-- Adds a failure to those that are alike since the last success: {slots, jobs, own}, `own` if they
-- were found to be the jobs' own fault, which outlives the streak. On which slot any failed since then does, too.
local function add_to_streak(job, alike, slot, done)
  local key = BREAKER .. job.exp
  local b = redis.call('HMGET', key, 'alike', 'done', 'own', 'first', 'others')
  local same = whole(b[2]) == done
  if b[1] ~= alike or not same then
    redis.call('DEL', key)
    redis.call('HSET', key, 'alike', alike, 'done', done)
    if b[3] then redis.call('HSET', key, 'own', b[3]) end
  end
  local first = same and b[4] or lasting(slot)
  redis.call('HSET', key, 's:' .. lasting(slot), 1, 'j:' .. job.id, 1, 'first', first)
  if same and b[5] or first ~= lasting(slot) then redis.call('HSET', key, 'others', 1) end
  redis.call('EXPIRE', key, BREAKER_TTL)
  local streak = {slots = 0, jobs = 0, own = b[3] == alike}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local kind = string.sub(field, 1, 2)
    if kind == 's:' then streak.slots = streak.slots + 1 elseif kind == 'j:' then streak.jobs = streak.jobs + 1 end
  end
  return streak
end

-- Looks at a failure: nil, or why the experiment is to be paused.
local function breaker(job, o, slot, e, limits, now)
  local alike = type(o.alike) == 'string' and o.alike ~= '' and o.alike or (o.failure or 'error')
  o.alike = alike
  if e.breaker == '0' or e.paused == '1' or e.kind ~= 'run' then return nil end
  local done = successes(job.exp)
  local streak = add_to_streak(job, alike, slot, done)
  local own = clear_slot(job, alike, slot) or streak.own
  if not own and (tonumber(o.seconds) or 0) <= limits.fast and blame_slot(job, o, slot, limits, now, e.pool or '') then
    redis.call('DEL', BREAKER .. job.exp)
    return nil
  end
  local many = streak.jobs >= (done == 0 and limits.first or limits.streak)
  local everywhere = done == 0 and streak.slots >= limits.slots and streak.jobs >= limits.slots
  if not (many or everywhere) or not some_wait(job.exp) then return nil end
  redis.call('DEL', BREAKER .. job.exp) -- who activates it begins anew
  local slots = streak.slots == 1 and 'on one slot' or 'on ' .. streak.slots .. ' slots'
  return 'breaker: ' .. streak.jobs .. ' jobs ' .. slots .. ' failed alike and none succeeded' .. (done > 0 and ' meanwhile' or '')
    .. ': ' .. alike
end

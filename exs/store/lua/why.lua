--@ time number list ready segments experiment ending
-- why(selector, index) -> {now_ms, {id, lease_end or '', flat fields} or '', row of its experiment or '', jobs of it before this one
--   or -1, 1 when its pool shares fairly, 1 when the queue is suspended, {experiment, shape, pool, jobs ready before it, ...},
--   {how long it is expected to take at most, ms, by what, the median of how many that is} or '': what slots with an end go by}
-- A job by its id, or by its experiment (a name, its eight digits, `last`) and its index; without an index (-1) the one of the
-- experiment that is next. Writes nothing.
-- keys read: exs:exp exs:ids exs:last exs:jobs exs:queues exs:leases exs:order exs:ready exs:shapes exs:pool rq:job rq:queue rq:scheduled
--   rq:deferred rq:suspended exs:spec rq:finished
local selector, index = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local AHEAD = 300 -- ready queues that are looked at, per shape
local FAR = 20000 -- places of a list that RQ's clients wrote to

local function named()
  local name = selector == 'last' and redis.call('GET', LAST) or selector
  if redis.call('EXISTS', EXPERIMENT .. name) == 1 then return name end
  return redis.call('HGET', IDS, selector) or nil
end

local function by_index(name)
  for _, segment in ipairs(segments_of(name)) do
    local id = index >= segment.base and redis.pcall('LINDEX', segment.key, index - segment.base)
    if type(id) == 'string' and id ~= '' and whole(redis.call('HGET', RQ_JOB .. id, 'ix')) == index then return id end
  end
end

-- The first that stands ready; else the first that is due for its next attempt; else the first that is paused.
local function next_of(name)
  local best, at
  for _, one in ipairs(lengths_of(name)) do
    local id = redis.pcall('LINDEX', RQ_QUEUE .. one[1], 0)
    local place = type(id) == 'string' and stands_at(id)
    if place and (not at or place < at) then best, at = id, place end
  end
  if best then return best end
  for _, registry in ipairs({RQ_SCHEDULED, RQ_DEFERRED}) do
    for _, one in ipairs(lengths_of(name)) do
      local head = redis.pcall('ZRANGE', registry .. one[1], 0, 0, 'WITHSCORES')
      if not head.err and head[1] and (not at or tonumber(head[2]) < at) then best, at = head[1], tonumber(head[2]) end
    end
    if best then return best end
  end
end

-- Jobs of its own experiment that are taken before it, over all its queues.
local function before(id, queue, name)
  local place, n = stands_at(id) or 0, 0
  for _, one in ipairs(lengths_of(name)) do
    local found, belongs = halve(RQ_QUEUE .. one[1], id, place, {})
    if one[1] == queue and not found then
      found = redis.call('LPOS', RQ_QUEUE .. queue, id, 'MAXLEN', FAR)
      if not found then return -1 end
    end
    n = n + (found or belongs)
  end
  return n
end

-- Ready queues of other experiments that stand before it, in order.
local function ahead(queue, name, shape, home)
  local found = {}
  for _, there in ipairs(shape_in_pools(home, shape)) do
    local score = redis.call('ZSCORE', READY .. there[1] .. ':' .. there[2], queue)
    local order = redis.call('ZSCORE', ORDER .. home, name)
    score = score or order and score_of(order, nil, number_of(queue)) or '+inf'
    for _, other in ipairs(redis.call('SMEMBERS', SHAPES .. there[1])) do
      local queues = redis.call('ZRANGEBYSCORE', READY .. there[1] .. ':' .. other, '-inf', '(' .. score, 'WITHSCORES', 'LIMIT', 0, AHEAD)
      for i = 1, #queues, 2 do
        local length = experiment_of(queues[i]) ~= name and redis.pcall('LLEN', RQ_QUEUE .. queues[i])
        if type(length) == 'number' then found[#found + 1] = {experiment_of(queues[i]), other, there[1], length, tonumber(queues[i + 1])} end
      end
    end
  end
  table.sort(found, function(a, b) return a[5] < b[5] end)
  local flat = {}
  for _, one in ipairs(found) do
    for i = 1, 4 do flat[#flat + 1] = one[i] end
  end
  return flat
end

local name = named()
local id = selector
if name then id = index < 0 and next_of(name) or index >= 0 and by_index(name) or nil end
local f = id and redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin', 'ra') or {}
name = name or f[2] and experiment_of(f[2])
local shape = f[2] and redis.call('HGET', QUEUES .. name, f[2])
local suspended = redis.call('EXISTS', RQ_SUSPENDED)
if not shape then return {now, '', name and experiment_row(name) or '', -1, 0, suspended, {}, ''} end
local row = {id, redis.call('ZSCORE', LEASES, id) or '', redis.call('HGETALL', RQ_JOB .. id)}
local home = redis.call('HGET', EXPERIMENT .. name, 'pool') or ''
local waits = f[1] == 'QUEUED' and not f[3]
return {now, row, experiment_row(name) or '', waits and before(id, f[2], name) or -1, shares_fairly(home) and 1 or 0, suspended,
  f[1] == 'QUEUED' and ahead(f[2], name, shape, home) or {}, f[1] == 'QUEUED' and lasting_row(id, name) or ''}

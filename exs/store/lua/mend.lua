--@ time number list ready state attempt drift mend segments
-- mend(name, limit) -> 1 while there is more to do, else 0: looks at the next `limit` jobs of NAME, puts back those that
-- RQ's clients moved and forgets those that they deleted. Where it is stands in exs:mend, so that whoever reaps goes on. A
-- pass that found nothing takes what the registries hold as the counts, unless they moved meanwhile; that wants another pass.
-- keys: exs:mend exs:exp exs:queues exs:jobs rq:* exs:leases exs:later exs:strangers and those of sync
local name, limit = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local mended, forgotten, pruned = 0, 0, 0
local queues = queues_of(name)
redis.call('DEL', NONE) -- see renew

local function read(...)
  local found = redis.pcall(...)
  return found.err and {} or found
end

-- The hash is gone, and with it the point: the same point pushed again is new.
local function forget(segment, place, id)
  redis.call('LSET', segment.key, place, '')
  count(name, 'jobs', -1)
  redis.call('ZREM', LEASES, id)
  redis.call('ZREM', LATER, id)
  redis.call('DEL', ATTEMPTS .. id, RQ_RESULTS .. id)
  for _, queue in ipairs(queues) do clear({id = id, q = queue}) end
  forgotten = forgotten + 1
end

-- The ids of each list around an index: one look there instead of one search per job.
local function listed_near(ix)
  local near = {}
  for _, queue in ipairs(queues) do
    local at, belongs = halve(RQ_QUEUE .. queue, '', ix, {})
    local first = at or belongs
    for _, id in ipairs(read('LRANGE', RQ_QUEUE .. queue, first, first + limit)) do near[id] = queue end
  end
  return near
end

local function stands(id, job, status, near)
  if status ~= (job.ra and 'scheduled' or RQ[job.st]) then return false end
  if job.ra then return redis.call('ZSCORE', LATER, id) and redis.call('ZSCORE', RQ_SCHEDULED .. job.q, id) end
  if job.st == 'QUEUED' then return near[id] == job.q or place_of(job) end
  if job.at then return redis.call('ZSCORE', LEASES, id) and redis.call('ZSCORE', RQ_WIP .. job.q, id .. ':' .. job.at) end
  return redis.call('ZSCORE', REGISTRY[job.st] .. job.q, id)
end

local function look(segment, first, last)
  local near = listed_near(segment.base + first)
  for i, id in ipairs(read('LRANGE', segment.key, first, last)) do
    local job = id ~= '' and load(id)
    if job and job.st ~= 'BROKEN' then
      if not stands(id, job, redis.call('HGET', RQ_JOB .. id, 'status'), near) and mend(id, now) then mended = mended + 1 end
      if redis.call('HGET', RQ_JOB .. id, 'st') == 'PRUNED' then pruned = pruned + 1 end
    elseif id ~= '' and redis.call('EXISTS', RQ_JOB .. id) == 0 then
      forget(segment, first + i - 1, id)
    end
  end
end

local function in_turn(from)
  for _, segment in ipairs(segments_of(name)) do
    local length = redis.pcall('LLEN', segment.key)
    local first = math.max(from - segment.base, 0)
    if type(length) == 'number' and first < length then
      look(segment, first, first + limit - 1)
      return segment.base + math.min(first + limit, length)
    end
  end
  return -1
end

-- What this pass has found so far, with what this call adds; `drift` is how NAME stood when it began.
local key = MEND .. name
local f = redis.call('HMGET', key, 'at', 'mended', 'forgotten', 'pruned', 'drift')
local _, began = drift(name)
began = f[5] or began
local after = in_turn(number(f[1]))
drop_blanks()
sync(name)
mended, forgotten, pruned = mended + number(f[2]), forgotten + number(f[3]), pruned + number(f[4])
local function go_on(at, m, g, p, text)
  redis.call('HSET', key, 'at', at, 'mended', m, 'forgotten', g, 'pruned', p, 'drift', text)
  redis.call('EXPIRE', key, MEND_TTL)
  return 1
end
if after >= 0 then return go_on(after, mended, forgotten, pruned, began) end
local amiss, text = drift(name)
local quiet = mended + forgotten == 0 and text == began
if not quiet and (amiss or forgotten > 0) then return go_on(0, 0, 0, 0, text) end
if quiet then settle(name, pruned) end
redis.call('DEL', key)
return 0

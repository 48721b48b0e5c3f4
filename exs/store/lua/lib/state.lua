-- Moves a job between states: our field, RQ's field and RQ's registry in one breath.
-- A job is a table {id, q (queue), exp, st, at, ra, ix, ...}; `load` reads one.
local RQ = {QUEUED = 'queued', RUNNING = 'started', PAUSING = 'started', PAUSED = 'deferred', DONE = 'finished',
  PRUNED = 'finished', CRASHED = 'failed', CANCELED = 'canceled'}
local REGISTRY = {PAUSED = RQ_DEFERRED, DONE = RQ_FINISHED, PRUNED = RQ_FINISHED, CRASHED = RQ_FAILED, CANCELED = RQ_CANCELED}
-- What an experiment counts by itself, so that a registry to which RQ's clients wrote is found. DONE is what is left: it
-- is the one state that every job passes.
local COUNTED = {PAUSED = 'deferred', PRUNED = 'pruned', CRASHED = 'failed', CANCELED = 'canceled'}

-- nil when there is no such job; a job whose state is none of ours is BROKEN, which may only be removed. One that is held is
-- RUNNING all the same: its holder would tell of its end for ever, and take no other job.
local function load(id)
  local f = redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin', 'at', 'ra', 'ix', 'an', 'ls', 'rt', 'worker_name', 'wn', 'started_at',
    'dn', 'nd', 'bt', 'hn', 'nm', 'po', 'sl')
  if f.err or not f[1] or not f[2] then return nil end
  return {id = id, st = RQ[f[1]] and f[1] or f[3] and 'RUNNING' or 'BROKEN', q = f[2], exp = experiment_of(f[2]), at = f[3], ra = f[4],
    ix = number(f[5]), an = number(f[6]), ls = number(f[7]), rt = number(f[8]), slot = f[9] or '', wn = f[10],
    t0 = f[11], dn = f[12], nd = f[13] or '?', bt = f[14], hn = number(f[15]), nm = f[16] or '',
    po = decimal(f[17]) or number(f[5]), sl = f[18]}
end

local function allowed(job, to) return string.find(ALLOWED, '|' .. job.st .. '>' .. to .. '|', 1, true) ~= nil end

-- A push that is not committed is visible to nobody.
local function committed(job) return redis.call('HEXISTS', QUEUES .. job.exp, job.q) == 1 end

local function leave_all(job)
  for state, registry in pairs(REGISTRY) do
    if redis.call('ZREM', registry .. job.q, job.id) == 1 and COUNTED[state] and state ~= 'PRUNED' then count(job.exp, COUNTED[state], -1) end
  end
  redis.call('ZREM', RQ_SCHEDULED .. job.q, job.id)
  redis.call('LREM', RQ_QUEUE .. job.q, 0, job.id)
  if redis.call('ZREM', LATER, job.id) == 1 then count(job.exp, 'waiting', -1) end
  if redis.call('ZREM', LEASES, job.id) == 1 then count(job.exp, 'running', -1) end
  redis.call('ZREM', RQ_WIP .. job.q, job.id .. ':' .. (job.at or ''))
end

-- Takes a job out of the registry of its present state; returns how many of its experiment run now, where that changed.
-- A script that takes jobs out of lists ends with `drop_blanks`.
local function leave(job)
  if job.st == 'QUEUED' then
    if job.ra then
      -- RQ's scheduler queues what is due by itself.
      if redis.call('ZREM', RQ_SCHEDULED .. job.q, job.id) == 0 then unlist(job.q, job.id, job.po) end
      redis.call('ZREM', LATER, job.id)
      redis.call('HDEL', RQ_JOB .. job.id, 'ra')
      count(job.exp, 'waiting', -1)
    else
      unlist(job.q, job.id, job.po)
    end
  elseif job.st == 'RUNNING' or job.st == 'PAUSING' then
    redis.call('ZREM', RQ_WIP .. job.q, job.id .. ':' .. (job.at or ''))
    redis.call('ZREM', LEASES, job.id)
    return count(job.exp, 'running', -1)
  elseif job.st == 'BROKEN' then
    leave_all(job)
  else
    redis.call('ZREM', REGISTRY[job.st] .. job.q, job.id)
    if COUNTED[job.st] then count(job.exp, COUNTED[job.st], -1) end
  end
end

local function register(job, state, now)
  local score = state == 'PAUSED' and job.ix or state == 'CANCELED' and math.floor(now / 1000) or -1
  redis.call('ZADD', REGISTRY[state] .. job.q, score, job.id)
end

-- Puts a job that left its state into a final state or PAUSED; `fields` are stored with it.
-- RQ asks for `timeout` and `result_ttl` of what it may still run, and a job that ran once was queued when it was made.
-- Without these, and without what only a holder needs, the hash of a finished job with three parameters fits into 512
-- bytes, where malloc's next size is 640 (measured).
local function enter(job, state, now, fields)
  register(job, state, now)
  if COUNTED[state] then count(job.exp, COUNTED[state], 1) end
  redis.call('HSET', RQ_JOB .. job.id, 'st', state, 'status', RQ[state], unpack(fields))
  if REGISTRY[state] == RQ_FINISHED then
    redis.call('HDEL', RQ_JOB .. job.id, 'at', 'wn', 'pv', 'bt', 'timeout', 'result_ttl', job.an == 1 and 'enqueued_at' or 'at')
  elseif job.at then
    redis.call('HDEL', RQ_JOB .. job.id, 'at', 'wn', 'pv', 'bt')
  end
end

local function set_queued(job, now)
  redis.call('HSET', RQ_JOB .. job.id, 'st', 'QUEUED', 'status', 'queued', 'enqueued_at', iso(now),
    'timeout', '-1', 'result_ttl', '-1')
  redis.call('HDEL', RQ_JOB .. job.id, 'at', 'wn', 'pv', 'bt', 'worker_name', 'ra')
end

-- Has a job stand where it did not, in steps of a millionth of an index.
local function set_place(id, place) redis.call('HSET', RQ_JOB .. id, 'po', string.format('%.6f', place)) end

-- Puts a job that left its state back to the front of its queue; as a rule what ran before stands before what waits.
local function requeue(job, now)
  set_queued(job, now)
  local head = redis.call('LINDEX', RQ_QUEUE .. job.q, 0)
  local first = head and stands_at(head)
  if first and first <= job.po then set_place(job.id, first - 1) end
  redis.call('LPUSH', RQ_QUEUE .. job.q, job.id)
end

-- Puts a job that left its state aside until `due`; reap queues it then.
local function requeue_later(job, now, due)
  due = math.floor(due)
  redis.call('HSET', RQ_JOB .. job.id, 'st', 'QUEUED', 'status', 'scheduled', 'enqueued_at', iso(now), 'ra', due,
    'timeout', '-1', 'result_ttl', '-1')
  redis.call('HDEL', RQ_JOB .. job.id, 'at', 'wn', 'pv', 'bt', 'worker_name')
  redis.call('ZADD', RQ_SCHEDULED .. job.q, math.ceil(due / 1000), job.id)
  redis.call('ZADD', LATER, due, job.id)
  count(job.exp, 'waiting', 1)
end

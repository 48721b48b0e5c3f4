-- Moves a job between states: our field, RQ's field and RQ's registry in one breath.
-- A job is a table {id, q (queue), st, at, ra, ix}; `load` reads one.
local RQ = {QUEUED = 'queued', RUNNING = 'started', PAUSING = 'started', PAUSED = 'deferred', DONE = 'finished',
  PRUNED = 'finished', CRASHED = 'failed', CANCELED = 'canceled'}
local REGISTRY = {PAUSED = RQ_DEFERRED, DONE = RQ_FINISHED, PRUNED = RQ_FINISHED, CRASHED = RQ_FAILED, CANCELED = RQ_CANCELED}

local function load(id)
  local f = redis.call('HMGET', RQ_JOB .. id, 'st', 'origin', 'at', 'ra', 'ix', 'an', 'ls', 'rt', 'worker_name', 'wn', 't0', 'dn', 'nd', 'bt')
  if not f[1] or not f[2] then return nil end
  local q = f[2]
  return {id = id, st = f[1], q = q, exp = experiment_of(q), at = f[3], ra = f[4], ix = f[5], an = tonumber(f[6] or 0),
    ls = tonumber(f[7] or 0), rt = tonumber(f[8] or 0), slot = f[9], wn = f[10], t0 = tonumber(f[11] or 0), dn = f[12],
    nd = f[13], bt = f[14]}
end

local function allowed(job, to) return ALLOWED[job.st .. '>' .. to] == true end

-- A list this long is not searched for one id: LREM costs 15 ms at a million (measured). The id stays as a dead
-- one, counted, and is dropped when it reaches the head.
local SEARCH = 20000

local function leave_list(job, wholly)
  if wholly or redis.call('LLEN', RQ_QUEUE .. job.q) <= SEARCH then
    redis.call('LREM', RQ_QUEUE .. job.q, 1, job.id)
  else
    redis.call('HINCRBY', EXPERIMENT .. job.exp, 'dead:' .. job.q, 1)
  end
end

-- Takes a job out of the registry of its present state; `wholly` when its hash goes too.
local function leave(job, wholly)
  if job.st == 'QUEUED' then
    if job.ra then
      redis.call('ZREM', RQ_SCHEDULED .. job.q, job.id)
      redis.call('ZREM', LATER, job.id)
      redis.call('HDEL', RQ_JOB .. job.id, 'ra')
      redis.call('HINCRBY', EXPERIMENT .. job.exp, 'waiting', -1)
    else
      leave_list(job, wholly)
    end
  elseif job.st == 'RUNNING' or job.st == 'PAUSING' then
    redis.call('ZREM', RQ_WIP .. job.q, job.id .. ':' .. (job.at or ''))
    redis.call('ZREM', LEASES, job.id)
    redis.call('HINCRBY', EXPERIMENT .. job.exp, 'running', -1)
  else
    redis.call('ZREM', REGISTRY[job.st] .. job.q, job.id)
    if job.st == 'PRUNED' then redis.call('HINCRBY', EXPERIMENT .. job.exp, 'pruned', -1) end
  end
end

-- Puts a job that left its state into a final state or PAUSED.
local function enter(job, state, now)
  local score = state == 'PAUSED' and job.ix or state == 'CANCELED' and math.floor(now / 1000) or -1
  redis.call('ZADD', REGISTRY[state] .. job.q, score, job.id)
  if state == 'PRUNED' then redis.call('HINCRBY', EXPERIMENT .. job.exp, 'pruned', 1) end
  redis.call('HSET', RQ_JOB .. job.id, 'st', state, 'status', RQ[state])
end

-- Puts a job that left its state back to the front of its queue: what ran before has a lower index than what waits.
local function requeue(job, now)
  redis.call('HSET', RQ_JOB .. job.id, 'st', 'QUEUED', 'status', 'queued', 'enqueued_at', iso(now))
  redis.call('HDEL', RQ_JOB .. job.id, 'at', 'wn', 'worker_name', 'ra')
  redis.call('LPUSH', RQ_QUEUE .. job.q, job.id)
end

-- Puts a job that left its state aside until `due`; reap queues it then.
local function requeue_later(job, now, due)
  redis.call('HSET', RQ_JOB .. job.id, 'st', 'QUEUED', 'status', 'scheduled', 'enqueued_at', iso(now), 'ra', due)
  redis.call('HDEL', RQ_JOB .. job.id, 'at', 'wn', 'worker_name')
  redis.call('ZADD', RQ_SCHEDULED .. job.q, math.ceil(due / 1000), job.id)
  redis.call('ZADD', LATER, due, job.id)
  redis.call('HINCRBY', EXPERIMENT .. job.exp, 'waiting', 1)
end

-- Remembers the attempt that just ended, before the next one overwrites it.
local function remember(job)
  local f = redis.call('HMGET', RQ_JOB .. job.id, 'an', 'nd', 'gp', 't0', 't1', 'fc', 'fd', 'xc', 'dr', 'lg', 'st')
  local record = {}
  local names = {'number', 'node', 'gpus', 'started', 'ended', 'failure', 'detail', 'exit_code', 'directory', 'log', 'state'}
  for i, name in ipairs(names) do if f[i] then record[name] = f[i] end end
  redis.call('RPUSH', ATTEMPTS .. job.id, cjson.encode(record))
end

-- Frees the slot that held a job.
local function free_slot(slot)
  if slot and redis.call('EXISTS', RQ_WORKER .. slot) == 1 then
    redis.call('HDEL', RQ_WORKER .. slot, 'current_job', 'exs_at')
    redis.call('HSET', RQ_WORKER .. slot, 'state', 'idle')
  end
end

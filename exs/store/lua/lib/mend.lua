-- Puts a job back where its state says, after RQ's own clients moved it. Our fields are the truth, except for what a person
-- asked for through RQ's tools: a waiting job canceled is CANCELED, a running one is asked to end, one that is over and was
-- requeued is retried. What a stock worker did to a waiting job is undone: no attempt, no failure, the same place.
local REACH = 1000 -- ids at either end of a long list that are looked through for one that is out of order

-- The place of a QUEUED job in its list, or nil.
local function place_of(job)
  local key = RQ_QUEUE .. job.q
  return halve(key, job.id, job.po, {}) or redis.call('LPOS', key, job.id, 'MAXLEN', REACH)
    or redis.call('LPOS', key, job.id, 'RANK', -1, 'MAXLEN', REACH)
end

local function put_in_place(job)
  if not place_of(job) then insert(job.q, job.id, job.po) end
end

-- Who holds it by our own record: a stock worker writes its name over that of the slot.
local function holder_of(job)
  if redis.call('HGET', RQ_WORKER .. job.slot, 'exs_at') == job.at then return job.slot end
  for _, key in ipairs(redis.call('SMEMBERS', RQ_WORKERS)) do
    if redis.pcall('HGET', key, 'exs_at') == job.at then return string.sub(key, #RQ_WORKER + 1) end
  end
  return job.slot
end

local function forget_stranger(job, now)
  if job.slot ~= '' and redis.call('HEXISTS', RQ_WORKER .. job.slot, 'exs_node') == 0 then
    redis.call('ZADD', STRANGERS, now, job.slot)
    redis.call('ZREMRANGEBYSCORE', STRANGERS, 0, now - STRANGER_TTL * 1000)
    redis.call('EXPIRE', STRANGERS, STRANGER_TTL)
  end
  redis.call('HDEL', RQ_JOB .. job.id, 'worker_name')
  if job.an == 0 then redis.call('HDEL', RQ_JOB .. job.id, 'started_at', 'ended_at', 'exc_info') end
end

-- Where a job of each state stands in RQ's registries, by RQ's prefix: {member, score}.
local function stand(job, now)
  if job.st == 'QUEUED' and not job.ra then
    put_in_place(job)
    forget_stranger(job, now)
  elseif job.st == 'QUEUED' then
    redis.call('ZADD', RQ_SCHEDULED .. job.q, math.ceil(number(job.ra) / 1000), job.id)
    redis.call('ZADD', LATER, 'NX', number(job.ra), job.id)
  elseif job.at then
    redis.call('ZADD', RQ_WIP .. job.q, '+inf', job.id .. ':' .. job.at)
    redis.call('ZADD', LEASES, 'NX', now, job.id)
    redis.call('HSET', RQ_JOB .. job.id, 'worker_name', holder_of(job))
  else
    register(job, job.st, now)
  end
  redis.call('HSET', RQ_JOB .. job.id, 'status', job.ra and 'scheduled' or RQ[job.st])
end

local function clear(job)
  for _, prefix in ipairs({RQ_FINISHED, RQ_FAILED, RQ_CANCELED, RQ_DEFERRED, RQ_SCHEDULED}) do
    redis.call('ZREM', prefix .. job.q, job.id)
  end
  redis.call('LREM', RQ_QUEUE .. job.q .. RQ_INTERMEDIATE, 0, job.id)
  redis.call('DEL', RQ_RESULTS .. job.id)
end

-- True if there was such a job of ours. Its experiment is to be brought in line (`sync`) by the caller.
local function mend(id, now)
  local job = load(id)
  if not job or job.st == 'BROKEN' or not committed(job) then return false end
  local status = redis.call('HGET', RQ_JOB .. id, 'status')
  local over = job.st == 'CRASHED' or job.st == 'CANCELED'
  clear(job)
  if status == 'canceled' and not job.at and allowed(job, 'CANCELED') then
    leave(job)
    drop_blanks() -- places of others are looked for next
    enter(job, 'CANCELED', now, {'ended_at', iso(now), 'fd', 'canceled through RQ'})
  elseif status == 'queued' and over then
    redis.call('LREM', RQ_QUEUE .. job.q, -1, id)
    revive(job)
    set_queued(job, now)
    put_in_place(job)
  else
    stand(job, now)
    if status == 'canceled' and job.at then ask(job, 'cancel') end
    if job.st ~= 'QUEUED' and not over then redis.call('LREM', RQ_QUEUE .. job.q, -1, id) end
  end
  return true
end

--@ time number list ready state attempt etag
-- put(id, etag, attempt, state, params, results) -> {code, etag}: parameters, results and state of a pull experiment's job
-- as its caller has them. etag: of what he read last, '' to overwrite whatever is there. attempt: the holder's own, ''
-- for everybody else. Whoever else holds the job is fenced out by another state.
-- A state is reached by way of QUEUED and RUNNING, which every job may pass, in one breath; RUNNING itself needs a lease.
-- codes: ok | gone | kind | unsafe (somebody else wrote, or holds it now) | held (only its holder may leave it RUNNING)
-- keys: rq:job exs:exp exs:queues exs:leases rq:wip rq:queue rq:finished|failed|canceled|scheduled|deferred exs:attempts
--   exs:ready rq:worker
local id, state = ARGV[1], ARGV[4]
local job = load(id)
if not job or not committed(job) then return {'gone', ''} end
if redis.call('HGET', EXPERIMENT .. job.exp, 'kind') ~= 'pull' then return {'kind', ''} end
local f = redis.call('HMGET', RQ_JOB .. id, 'st', 'pr', 'rs')
local same = f[1] == state and f[2] == ARGV[5] and (f[3] or '') == ARGV[6]
if same and (ARGV[3] == '' or ARGV[3] == job.at) then return {'ok', etag(id)} end -- it is so: the same call again (R2)
if ARGV[2] ~= '' and ARGV[2] ~= etag(id) or ARGV[3] ~= '' and ARGV[3] ~= job.at then return {'unsafe', ''} end
if state == 'RUNNING' and job.st ~= state then return {'held', ''} end

local now = now_ms()
if state ~= job.st then
  local slot, attempt = job.slot, job.at
  if attempt then
    redis.call('HSET', RQ_JOB .. id, 'ended_at', iso(now), 'fd', 'ended by hand')
    remember(job)
    leave(job)
    free_slot(slot, attempt)
  elseif REGISTRY[job.st] and job.st ~= 'PAUSED' then
    revive(job)
  else
    leave(job)
  end
  drop_blanks()
  job.an = math.max(job.an, 1)
  if state == 'QUEUED' then requeue(job, now) else enter(job, state, now, {'ended_at', iso(now)}) end
end
redis.call('HSET', RQ_JOB .. id, 'pr', ARGV[5])
if ARGV[6] == '' then redis.call('HDEL', RQ_JOB .. id, 'rs') else redis.call('HSET', RQ_JOB .. id, 'rs', ARGV[6]) end
sync(job.exp)
return {'ok', etag(id)}

--@ time number list ready state attempt
-- retry(force, spec digest, job1, ...) -> {queued, already, kept, missing}; those of an archived experiment are kept as they are.
-- job: an id, and behind a space the shape that it has from now on, where it is to have another one.
-- CRASHED and CANCELED jobs are queued again with their retries and crash budget restored; DONE and PRUNED ones only
-- with force, which also runs the commands that succeeded, from their beginning. They run as they were pushed, or, where a digest
-- is given, as the push of that Spec. Ids are taken from the last, so that order is kept.
-- keys: rq:job rq:finished|failed|canceled rq:queue exs:attempts exs:exp exs:ready
local force, digest = ARGV[1] == '1', ARGV[2]
local now = now_ms()
local queued, already, kept, missing = 0, 0, 0, 0
local touched, archived = {}, {}
local function put_away(name)
  if archived[name] == nil then archived[name] = redis.call('HGET', EXPERIMENT .. name, 'archived') == '1' end
  return archived[name]
end
-- Found once for all that get the same shape: an experiment may have many queues, and one call thousands of jobs.
local queues = {}
local function queue_of(name, shape)
  local key = name .. ' ' .. shape
  queues[key] = queues[key] or queue_for_shape(name, shape)
  return queues[key]
end
for i = #ARGV, 3, -1 do
  local id, shape = string.match(ARGV[i], '^(%S*) ?(.*)$')
  local job = load(id)
  if not job then
    missing = missing + 1
  elseif job.at or job.st == 'QUEUED' or job.st == 'PAUSED' then
    already = already + 1
  elseif not allowed(job, 'QUEUED') or ((job.st == 'DONE' or job.st == 'PRUNED') and not force) or put_away(job.exp) then
    kept = kept + 1
  else
    revive(job)
    if force then
      redis.call('HSET', RQ_JOB .. job.id, 'fo', 1)
      redis.call('HDEL', RQ_JOB .. job.id, 'ck')
    end
    if digest ~= '' then redis.call('HSET', RQ_JOB .. job.id, 'sp', digest) end
    if shape ~= '' then stand_in(job, queue_of(job.exp, shape)) end
    requeue(job, now)
    touched[job.exp] = true
    queued = queued + 1
  end
end
sync_all(touched)
return {queued, already, kept, missing}

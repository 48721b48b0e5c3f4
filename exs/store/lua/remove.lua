--@ time number list ready state segments metrics
-- remove(id1, ...) -> {removed, running, missing}: forgets jobs that nobody holds; held ones stay.
-- keys: rq:job rq:* registries exs:points exs:jobs exs:attempts exs:metrics exs:series exs:exp exs:ready
local removed, running, missing = 0, 0, 0
local touched, segments = {}, {}
redis.call('DEL', NONE) -- see renew: what frees memory must pass when it is full
local function forget(job)
  local name = job.exp
  local point = redis.call('HGET', RQ_JOB .. job.id, 'pt')
  if point and point ~= '' then
    local bucket = POINTS .. name .. ':' .. string.sub(point, 1, 3)
    if redis.call('HGET', bucket, point) == job.id then redis.call('HDEL', bucket, point) end
  end
  segments[name] = segments[name] or segments_of(name)
  for k = #segments[name], 1, -1 do
    local segment = segments[name][k]
    if job.ix >= segment.base then
      local place = job.ix - segment.base
      if redis.call('LINDEX', segment.key, place) == job.id then redis.call('LSET', segment.key, place, '') end
      break
    end
  end
  count(name, 'jobs', -1)
  redis.call('DEL', RQ_JOB .. job.id, ATTEMPTS .. job.id, RQ_RESULTS .. job.id)
  redis.call('ZREM', QUARANTINE, job.id)
  forget_metrics(job.id)
end
for i = 1, #ARGV do
  local job = load(ARGV[i])
  if not job or not committed(job) then
    missing = missing + 1
  elseif job.at then
    running = running + 1
  else
    leave(job)
    forget(job)
    touched[job.exp] = true
    removed = removed + 1
  end
end
drop_blanks()
sync_all(touched)
return {removed, running, missing}

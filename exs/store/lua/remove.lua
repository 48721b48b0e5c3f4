--@ time list ready state
-- remove(id1, ...) -> {removed, running, missing}: forgets jobs that nobody holds; held ones stay.
-- keys: rq:job rq:* registries exs:points exs:jobs exs:attempts exs:exp exs:ready
local removed, running, missing = 0, 0, 0
local touched = {}
redis.call('DEL', 'exs:none') -- see renew: what frees memory must pass when it is full
local function forget(job)
  local name = job.exp
  local point = redis.call('HGET', RQ_JOB .. job.id, 'pt')
  if point and point ~= '' then
    local bucket = POINTS .. name .. ':' .. string.sub(point, 1, 3)
    if redis.call('HGET', bucket, point) == job.id then redis.call('HDEL', bucket, point) end
  end
  local segments = tonumber(redis.call('HGET', EXPERIMENT .. name, 'segments') or 0)
  for k = segments, 1, -1 do
    local base = tonumber(redis.call('HGET', EXPERIMENT .. name, 's:' .. k) or '') or 0
    if job.ix >= base then
      local key = JOBS .. name .. ':' .. k
      if redis.call('LINDEX', key, job.ix - base) == job.id then redis.call('LSET', key, job.ix - base, '') end
      break
    end
  end
  redis.call('HINCRBY', EXPERIMENT .. name, 'jobs', -1)
  redis.call('DEL', RQ_JOB .. job.id, ATTEMPTS .. job.id, RQ_RESULTS .. job.id)
  redis.call('ZREM', QUARANTINE, job.id)
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

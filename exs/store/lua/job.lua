--@ time
-- job(id) -> {now_ms, {id, lease_end or '', flat fields} or nil, {earlier attempts}}. Writes nothing.
-- A job whose push is not committed is none. keys read: rq:job exs:queues exs:leases exs:attempts
local id = ARGV[1]
local queue = redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin')
if not queue[1] or redis.call('HEXISTS', QUEUES .. string.gsub(queue[2] or '', '~%d+$', ''), queue[2] or '') == 0 then
  return {now_ms(), false, {}}
end
local earlier = redis.pcall('LRANGE', ATTEMPTS .. id, 0, -1)
return {now_ms(), {id, redis.call('ZSCORE', LEASES, id) or '', redis.call('HGETALL', RQ_JOB .. id)}, earlier.err and {} or earlier}

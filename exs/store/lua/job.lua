--@ time
-- job(id, field1, ...) -> {now_ms, {id, lease_end or '', values ...} or nil, {earlier attempts}}. Writes nothing.
-- A job whose push is not committed is none. keys read: rq:job exs:queues exs:leases exs:attempts
local id = ARGV[1]
local fields = {}
for i = 2, #ARGV do fields[#fields + 1] = ARGV[i] end
local values = redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin', unpack(fields))
local queue = values[2] or ''
if not values[1] or redis.call('HEXISTS', QUEUES .. string.gsub(queue, '~%d+$', ''), queue) == 0 then
  return {now_ms(), false, {}}
end
local earlier = redis.pcall('LRANGE', ATTEMPTS .. id, 0, -1)
return {now_ms(), {id, redis.call('ZSCORE', LEASES, id) or '', unpack(values, 3)}, earlier.err and {} or earlier}

--@ time
-- job(id, field1, ...) -> {now_ms, {id, lease_end or '', values ...} or nil, {earlier attempts}}. Writes nothing.
-- keys read: rq:job exs:leases exs:attempts
local id = ARGV[1]
local fields = {}
for i = 2, #ARGV do fields[#fields + 1] = ARGV[i] end
local values = redis.call('HMGET', RQ_JOB .. id, unpack(fields))
if not values[1] then return {now_ms(), false, {}} end
return {now_ms(), {id, redis.call('ZSCORE', LEASES, id) or '', unpack(values)}, redis.call('LRANGE', ATTEMPTS .. id, 0, -1)}

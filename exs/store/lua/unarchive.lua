--@ time number ready
-- unarchive(name) -> unarchived | already | missing: brings an experiment back into the lists, and its queues into RQ's.
-- keys: exs:exp exs:queues rq:queues exs:ready
local name = ARGV[1]
local e = redis.call('HMGET', EXPERIMENT .. name, 'id', 'archived')
if not e[1] then return 'missing' end
if e[2] ~= '1' then return 'already' end
redis.call('HDEL', EXPERIMENT .. name, 'archived')
for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do redis.call('SADD', RQ_QUEUES, RQ_QUEUE .. queue) end
sync(name)
return 'unarchived'

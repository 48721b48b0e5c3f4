--@ time number ready pause
-- archive(name) -> archived | already | unfinished | missing: takes an experiment whose jobs are all over, and which nobody
-- pushes to, out of the lists and its queues out of RQ's. Its records stay.
-- keys: exs:exp exs:queues exs:stage rq:queues rq:queue|wip|scheduled|deferred
local name = ARGV[1]
local e = redis.call('HMGET', EXPERIMENT .. name, 'id', 'archived')
if not e[1] then return 'missing' end
if e[2] == '1' then return 'already' end
if unfinished(name) or redis.call('EXISTS', STAGE .. name) == 1 then return 'unfinished' end
redis.call('DEL', NONE) -- see renew
redis.call('HSET', EXPERIMENT .. name, 'archived', 1)
for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do redis.call('SREM', RQ_QUEUES, RQ_QUEUE .. queue) end
sync(name)
return 'archived'

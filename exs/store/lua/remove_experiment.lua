--@ ready
-- remove_experiment(name) -> 1 | 0 when jobs are left: forgets an experiment that has no jobs any more.
-- keys: exs:exp exs:queues exs:spec exs:jobs exs:points exs:experiments exs:ids exs:order rq:queues
local name = ARGV[1]
local e = redis.call('HMGET', EXPERIMENT .. name, 'jobs', 'id', 'pool', 'segments')
if not e[1] then return 1 end
if tonumber(e[1]) > 0 then return 0 end
local queues = redis.call('HGETALL', QUEUES .. name)
for i = 1, #queues, 2 do
  unset_ready(e[3], queues[i + 1], queues[i])
  redis.call('SREM', RQ_QUEUES, RQ_QUEUE .. queues[i])
  redis.call('DEL', RQ_QUEUE .. queues[i], RQ_WIP .. queues[i], RQ_FINISHED .. queues[i], RQ_FAILED .. queues[i],
    RQ_CANCELED .. queues[i], RQ_SCHEDULED .. queues[i], RQ_DEFERRED .. queues[i])
end
for k = 1, tonumber(e[4] or 0) do redis.call('DEL', JOBS .. name .. ':' .. k) end
redis.call('DEL', EXPERIMENT .. name, QUEUES .. name, SPECS .. name)
redis.call('ZREM', EXPERIMENTS, name)
redis.call('HDEL', IDS, e[2])
redis.call('ZREM', ORDER .. e[3], name)
if redis.call('GET', LAST) == name then redis.call('DEL', LAST) end
return 1

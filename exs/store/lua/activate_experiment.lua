--@ time number ready pause
-- activate_experiment(name) -> {active | already | archived | missing, why it was paused}: its queued jobs can be claimed
-- again. Jobs that are paused by themselves are not touched.
-- keys: exs:exp exs:queues exs:ready rq:queue
local name = ARGV[1]
local e = redis.call('HMGET', EXPERIMENT .. name, 'id', 'paused', 'paused_by', 'archived')
if not e[1] then return {'missing', ''} end
if e[4] == '1' then return {'archived', ''} end
if e[2] ~= '1' then return {'already', ''} end
activate_experiment(name)
return {'active', e[3] or ''}

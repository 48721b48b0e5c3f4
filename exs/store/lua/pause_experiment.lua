--@ time number ready pause
-- pause_experiment(name, why) -> {paused | already | over | archived | missing, why it is paused}: its queued jobs stay where
-- they are and leave the ready set; those that run are not touched. One that has nothing left to
-- run is not paused, unless it is a pull experiment, which may draw jobs.
-- keys: exs:exp exs:queues exs:ready rq:queue|wip|scheduled|deferred
local name = ARGV[1]
local e = redis.call('HMGET', EXPERIMENT .. name, 'id', 'paused', 'paused_by', 'archived', 'kind')
if not e[1] then return {'missing', ''} end
if e[4] == '1' then return {'archived', ''} end
if e[2] == '1' then return {'already', e[3] or ''} end
if e[5] ~= 'pull' and not unfinished(name) then return {'over', ''} end
redis.call('DEL', NONE) -- see renew
pause_experiment(name, ARGV[2], now_ms())
return {'paused', ARGV[2]}

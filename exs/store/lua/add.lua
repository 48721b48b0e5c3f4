--@ time number ready positions push commit
-- add(meta) -> {ok | exists | id, id8}: makes an experiment whose jobs only next_job() and `exs pull` take, without a job.
-- meta (JSON): name user host source id8 priority scheduler (JSON, '' for none) paused (why, absent if it is not).
-- It has a pool of its own, so that no slot looks into it and its holders look into nothing else.
-- The same call again, with the same eight digits, hears ok (R2); `id`: they are taken, choose others.
-- keys: exs:schema exs:exp exs:ids exs:experiments exs:stage exs:order exs:position exs:last
local m = cjson.decode(ARGV[1])
local key = EXPERIMENT .. m.name
local there = redis.call('HGET', key, 'id')
if there or redis.call('EXISTS', STAGE .. m.name) == 1 then return {there == m.id8 and 'ok' or 'exists', there or ''} end
if redis.call('HEXISTS', IDS, m.id8) == 1 then return {'id', ''} end
redis.call('SETNX', SCHEMA, SCHEMA_VERSION)
m.kind, m.pool = 'pull', PULL_POOL .. m.name
create(m, now_ms())
arrange(m, key, true)
redis.call('HSET', key, 'retries', 0, 'next', 0, 'queues', 0)
if m.scheduler ~= '' then redis.call('HSET', key, 'scheduler', m.scheduler) end
if m.paused then redis.call('HSET', key, 'paused', 1, 'paused_by', m.paused) end
redis.call('SET', LAST, m.name)
return {'ok', m.id8}

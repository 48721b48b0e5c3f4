--@ time number ready positions push commit list state etag
-- add_job(name, id, params, state, results, draw) -> {code, found}: one job more for a pull experiment.
-- state: QUEUED, or a final one: a job that was run elsewhere. results: JSON, '' for none. draw = 1: only where a holder
-- could take it at once and nothing waits, so that a search never draws more than is taken.
-- codes: ok and the job's etag | none | kind and the experiment's | archived | closed (it is paused) | open (some wait)
--   | id (taken, choose another). The same call again hears ok (R2).
-- keys: exs:exp exs:queues exs:jobs exs:order exs:ready rq:job rq:queue rq:queues rq:finished|failed|canceled rq:suspended
local name, id, state, results = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local job = RQ_JOB .. id
local e = redis.call('HMGET', EXPERIMENT .. name, 'next', 'queues', 'segments', 'kind', 'archived', 'paused')
if not e[4] then return {'none', ''} end
if e[4] ~= 'pull' then return {'kind', e[4]} end
local origin = redis.pcall('HGET', job, 'origin')
if origin then return origin == name and {'ok', etag(id)} or {'id', ''} end
if e[5] == '1' then return {'archived', ''} end
if ARGV[6] == '1' then
  if e[6] == '1' or redis.call('EXISTS', RQ_SUSPENDED) == 1 then return {'closed', ''} end
  if redis.call('EXISTS', RQ_QUEUE .. name) == 1 then return {'open', ''} end
end

local now = now_ms()
local place = fresh_place(name, e, false)
local queue = queue_for(place, name, '*||')
redis.call('HSET', job, 'created_at', iso(now), 'enqueued_at', iso(now), 'data', DATA, 'origin', queue, 'status', 'queued',
  'timeout', '-1', 'result_ttl', '-1', 'st', 'QUEUED', 'ix', place.base, 'nm', '', 'pr', ARGV[3], 'pt', '')
if results ~= '' then redis.call('HSET', job, 'rs', results) end
redis.call('RPUSH', JOBS .. name .. ':' .. place.segment, id)
place.count = 1
publish(name, place)
if state == 'QUEUED' then redis.call('RPUSH', RQ_QUEUE .. queue, id) else enter(load(id), state, now, {'ended_at', iso(now)}) end
sync(name)
return {'ok', etag(id)}

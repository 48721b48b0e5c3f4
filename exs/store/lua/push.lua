--@ time number ready push commit
-- push(meta, id1, name1, params1, point1, commands1, shape1, ...) -> {code, ...}: one batch of a push.
-- meta (JSON): name push first last into user host source kind pool priority retries max lost id8 spec_digest
--   spec shapes[] collect{state} lock (ms) add (leave the experiment's settings as they are).
-- A push of one batch goes straight in. A longer one fills a stage: queues and a segment that nobody claims from or lists,
-- until the last batch commits it.
-- A point that the experiment has already is counted by the state of its job, never queued twice.
-- keys: exs:schema exs:exp exs:stage(s) exs:points exs:jobs exs:spec exs:queues exs:order exs:ready rq:job rq:queue rq:queues
-- codes: ok, then new jobs_before {state, n ...} {collected ids} {some new ids} | taken user source | kind | archived | busy ms
--   | stale (discard it first) | lost (another push took over) | id (eight digits taken, choose others)
local m = cjson.decode(ARGV[1])
local now = now_ms()
local refusal = refuse(m, now)
if refusal then return refusal end
local e = redis.call('HMGET', EXPERIMENT .. m.name, 'next', 'queues', 'segments', 'jobs', 'id')
if m.last and not e[5] and redis.call('HEXISTS', IDS, m.id8) == 1 then return {'id'} end

local stage = redis.call('EXISTS', STAGE .. m.name) == 1
local place = stage and staged_place(m.name) or fresh_place(m.name, e, not (m.first and m.last))
local counts, collected, new_ids = {}, {}, {}
local at = iso(now)
for i = 2, #ARGV, 6 do
  local id, point, shape = ARGV[i], ARGV[i + 3], m.shapes[tonumber(ARGV[i + 5]) + 1]
  local bucket = POINTS .. m.name .. ':' .. string.sub(point, 1, 3)
  local old = point ~= '' and redis.call('HGET', bucket, point)
  local f = old and redis.pcall('HMGET', RQ_JOB .. old, 'st', 'origin')
  if f and f[1] then
    if place.queue_shape[f[2]] and place.staged then
      counts.STAGED = (counts.STAGED or 0) + 1
    else
      counts[f[1]] = (counts[f[1]] or 0) + 1
      if m.collect[f[1]] then collected[#collected + 1] = old end
    end
  else
    local queue = queue_for(place, m.name, shape)
    local job = {'created_at', at, 'enqueued_at', at, 'data', DATA, 'origin', queue, 'status', 'queued', 'timeout', '-1',
      'result_ttl', '-1', 'st', 'QUEUED', 'ix', place.base + place.count, 'nm', ARGV[i + 1], 'pr', ARGV[i + 2],
      'pt', point, 'sp', m.spec_digest}
    if ARGV[i + 4] ~= '' then job[#job + 1] = 'cm' job[#job + 1] = ARGV[i + 4] end
    redis.call('HSET', RQ_JOB .. id, unpack(job))
    if point ~= '' then redis.call('HSET', bucket, point, id) end
    redis.call('RPUSH', RQ_QUEUE .. queue, id)
    place.count = place.count + 1
    new_ids[#new_ids + 1] = id
  end
end
if #new_ids > 0 then redis.call('RPUSH', JOBS .. m.name .. ':' .. place.segment, unpack(new_ids)) end

if m.last then commit(m, place, now) else save_stage(m, place, now) end
local flat = {}
for state, n in pairs(counts) do flat[#flat + 1] = state flat[#flat + 1] = n end
local some = {}
for i = 1, math.min(#new_ids, 20) do some[i] = new_ids[i] end
return {'ok', #new_ids, number(e[4]), flat, collected, some}

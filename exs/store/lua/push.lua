--@ time number ready positions push commit code
-- push(meta, id1, name1, params1, point1, kind1, ...) -> {code, ...}: one batch of a push.
-- meta (JSON): name push batch (0, 1, ...) first last into user host source kind pool priority retries max lost weight preemptible id8 spec_digest
--   spec code kinds[]{shape, commands} collect{state} collect_older{state} lock (ms) add (leave the experiment's settings as
--   they are). `collect`: states whose jobs are to be named, `collect_older`: those that were pushed with other code than `code`.
-- A job that is named has its shape behind it where the file asks for another one than its queue has.
-- A push of one batch goes straight in. A longer one fills a stage: queues and a segment that nobody claims from or lists,
-- until the last batch commits it.
-- A point that the experiment has already is counted by the state of its job, never queued twice.
-- keys: exs:schema exs:exp exs:stage(s) exs:points exs:jobs exs:spec exs:spec-code exs:queues exs:order exs:ready rq:job rq:queue rq:queues
-- codes: ok, then new jobs_before {state, n ...} {collected ids} {some new ids} id8
--   {state, n of them with other code ...} n that keep another shape | taken user source | kind | archived | busy ms
--   | stale (discard it first) | lost (another push took over, or the batch before this one is not in) | id (eight digits taken, choose others)
local m = cjson.decode(ARGV[1])
local now = now_ms()
local refusal = refuse(m, now)
if refusal then return refusal end
local e = redis.call('HMGET', EXPERIMENT .. m.name, 'next', 'queues', 'segments', 'jobs', 'id')
if m.last and not e[5] and redis.call('HEXISTS', IDS, m.id8) == 1 then return {'id'} end

local stage = redis.call('EXISTS', STAGE .. m.name) == 1
local place = stage and staged_place(m.name) or fresh_place(m.name, e, not (m.first and m.last))
local counts, other, collected, new_ids, templates, listed, reshaped = {}, {}, {}, {}, {}, {}, 0
local at = iso(now)

-- The hash of a new job begins as a copy of what all jobs of this batch share: half the arguments and half the append-only
-- file of an HSET of everything, 6 us less per job (measured).
local function template(kind)
  local shape, commands = m.kinds[kind][1], m.kinds[kind][2]
  local queue = queue_for(place, m.name, shape)
  listed[queue] = listed[queue] or {}
  local one = {key = TEMPLATE .. m.name .. ':' .. kind, ids = listed[queue]}
  redis.call('DEL', one.key)
  redis.call('HSET', one.key, 'created_at', at, 'enqueued_at', at, 'data', DATA, 'origin', queue, 'status', 'queued',
    'timeout', '-1', 'result_ttl', '-1', 'st', 'QUEUED', 'sp', m.spec_digest)
  if commands ~= '' then redis.call('HSET', one.key, 'cm', commands) end
  templates[kind] = one
  return one
end

-- Queues a job; its id is `id`, unless another job has that: one push in a thousand of a million to a million meets one.
local function add(id, name, params, point, kind)
  local like = templates[kind] or template(kind)
  while redis.call('COPY', like.key, RQ_JOB .. id) == 0 do id = string.sub(id, 2) .. string.sub(id, 1, 1) end
  redis.call('HSET', RQ_JOB .. id, 'ix', place.base + place.count, 'nm', name, 'pr', params, 'pt', point)
  place.count = place.count + 1
  like.ids[#like.ids + 1] = id
  new_ids[#new_ids + 1] = id
  return id
end

-- The job of a point that the experiment has: its id, state, queue, Spec, and the queue for which it was pushed; nothing when
-- there is none.
local function known(bucket, point)
  local id = redis.call('HGET', bucket, point)
  local f = redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin', 'sp', 'oq')
  if f[1] then return id, f[1], f[2], f[3], f[4] or f[2] end
end

-- The shape of the jobs of a queue.
local shapes = {}
local function shape_there(queue)
  if shapes[queue] == nil then shapes[queue] = redis.call('HGET', QUEUES .. m.name, queue) end
  return shapes[queue]
end

for i = 2, #ARGV, 5 do
  local id, point, kind = ARGV[i], ARGV[i + 3], tonumber(ARGV[i + 4])
  local bucket = POINTS .. m.name .. ':' .. string.sub(point, 1, 3)
  local there = point ~= '' and redis.call('HSETNX', bucket, point, id) == 0
  local old, state, queue, spec, home
  if there then old, state, queue, spec, home = known(bucket, point) end
  if not old then
    local taken = add(id, ARGV[i + 1], ARGV[i + 2], point, kind)
    if there or taken ~= id and point ~= '' then redis.call('HSET', bucket, point, taken) end
  elseif place.queue_shape[queue] and place.staged then
    counts.STAGED = (counts.STAGED or 0) + 1
  else
    counts[state] = (counts[state] or 0) + 1
    local outdated = older(m.name, spec, m.spec_digest, m.code)
    if outdated then other[state] = (other[state] or 0) + 1 end
    local shape = m.kinds[kind][1]
    local elsewhere = shape_there(home) ~= shape
    if m.collect[state] or outdated and m.collect_older[state] then
      collected[#collected + 1] = elsewhere and old .. ' ' .. shape or old
      place.again = true
    elseif elsewhere and state ~= 'DONE' and state ~= 'PRUNED' then
      reshaped = reshaped + 1
    end
  end
end
for _, one in pairs(templates) do redis.call('DEL', one.key) end
for queue, ids in pairs(listed) do redis.call('RPUSH', RQ_QUEUE .. queue, unpack(ids)) end
if #new_ids > 0 then redis.call('RPUSH', JOBS .. m.name .. ':' .. place.segment, unpack(new_ids)) end

if m.last then commit(m, place, now) else save_stage(m, place, now) end
local some = {}
for i = 1, math.min(#new_ids, 20) do some[i] = new_ids[i] end
return {'ok', #new_ids, number(e[4]), flat(counts), collected, some, e[5] or m.id8, flat(other), reshaped}

--@ time drained hold
-- workers(cursor, count) -> {now_ms, next cursor or '0', {worker, flat fields, experiment, index, queues of ours, started_at of its job, what
--   is drained, its drain as JSON, hold ...}, ...}: '' for what there is none of.
-- About `count` of the registered workers, some perhaps twice; only a stock RQ worker has queues of ours, a slot listens on pools.
-- hold, of a slot that is held for a job of several: the queue, the index of its next job, slots held, slots wanted; 0 of 0 where
-- it only may not begin what is worse (lib/backfill.lua). Writes nothing.
-- keys read: rq:workers rq:worker rq:job rq:queue exs:queues exs:drained exs:hold
local page = redis.call('SSCAN', RQ_WORKERS, ARGV[1], 'COUNT', ARGV[2])
local now = now_ms()
local rows = {now, page[1]}
local any = redis.call('EXISTS', DRAINED) == 1
local function ours(f)
  local found = {}
  for queue in string.gmatch(not f.exs_node and f.queues or '', '[^,]+') do
    if redis.pcall('HEXISTS', QUEUES .. string.gsub(queue, '~%d+$', ''), queue) == 1 then found[#found + 1] = queue end
  end
  return table.concat(found, ',')
end
local function hold_as_row(f)
  local queue = f.exs_hold
  if not queue then return end
  local hold = hold_of(f.exs_node or '')
  local id = redis.pcall('LINDEX', RQ_QUEUE .. queue, 0)
  local ix = type(id) == 'string' and redis.pcall('HGET', RQ_JOB .. id, 'ix')
  local mine = hold and hold.queue == queue
  return queue, type(ix) == 'string' and ix or '', mine and held_now(hold, now) or 0, mine and tonumber(hold.k) or 0
end
for _, key in ipairs(page[2]) do
  local fields = redis.pcall('HGETALL', key)
  if not fields.err and #fields > 0 then
    local f = {}
    for i = 1, #fields, 2 do f[fields[i]] = fields[i + 1] end
    local job = f.current_job and redis.pcall('HMGET', RQ_JOB .. f.current_job, 'origin', 'ix', 'started_at') or {}
    local slot = string.sub(key, #RQ_WORKER + 1)
    local d, place
    if any then d, place = drained(slot, f.exs_node or '', now) end
    rows[#rows + 1] = {slot, fields, job[1] or '', job[2] or '', ours(f), job[3] or '', place or '', d and cjson.encode(d) or '',
      hold_as_row(f)}
  end
end
return rows

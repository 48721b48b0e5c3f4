--@ time drained
-- workers(cursor, count) -> {now_ms, next cursor or '0', {worker, flat fields, experiment or '', index or '', queues of ours or '', started_at
--   or '', what is drained or '', its drain as JSON or ''}, ...}: about `count` of the registered workers, some perhaps twice; only a stock
--   RQ worker has queues of ours, a slot listens on pools. Writes nothing.
-- keys read: rq:workers rq:worker rq:job exs:queues exs:drained
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
for _, key in ipairs(page[2]) do
  local fields = redis.pcall('HGETALL', key)
  if not fields.err and #fields > 0 then
    local f = {}
    for i = 1, #fields, 2 do f[fields[i]] = fields[i + 1] end
    local job = f.current_job and redis.pcall('HMGET', RQ_JOB .. f.current_job, 'origin', 'ix', 'started_at') or {}
    local slot = string.sub(key, #RQ_WORKER + 1)
    local d, place
    if any then d, place = drained(slot, f.exs_node or '', now) end
    rows[#rows + 1] = {slot, fields, job[1] or '', job[2] or '', ours(f), job[3] or '', place or '', d and cjson.encode(d) or ''}
  end
end
return rows

--@ time
-- workers() -> {now_ms, {slot, flat fields, experiment or '', index or ''}, ...}: every registered slot. Writes nothing.
-- keys read: rq:workers rq:worker rq:job
local rows = {now_ms()}
for _, key in ipairs(redis.call('SMEMBERS', RQ_WORKERS)) do
  local fields = redis.pcall('HGETALL', key)
  if not fields.err and #fields > 0 then
    local job
    for i = 1, #fields, 2 do if fields[i] == 'current_job' then job = fields[i + 1] end end
    local f = job and redis.pcall('HMGET', RQ_JOB .. job, 'origin', 'ix') or {}
    rows[#rows + 1] = {string.sub(key, #RQ_WORKER + 1), fields, f[1] or '', f[2] or ''}
  end
end
return rows

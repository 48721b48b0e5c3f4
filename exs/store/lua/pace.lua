--@ time took
-- pace(limit, name1, ...) -> {now_ms, {took, running}, ...}: of each experiment how long finished jobs took in ms, and of
-- those that run {ms since the start, progress or '', ...}; at most `limit` of either. Writes nothing.
-- keys read: exs:queues rq:finished rq:wip rq:job
local limit = tonumber(ARGV[1])
local now = now_ms()
local answer = {now}
for i = 2, #ARGV do
  local running = {}
  local queues = redis.pcall('HKEYS', QUEUES .. ARGV[i])
  for _, queue in ipairs(queues.err and {} or queues) do
    local left = limit - #running / 2
    local held = left > 0 and redis.pcall('ZRANGE', RQ_WIP .. queue, 0, left - 1) or {}
    for _, member in ipairs(held.err and {} or held) do
      local f = redis.pcall('HMGET', RQ_JOB .. string.gsub(member, ':.*', ''), 'started_at', 'pg')
      if not f.err and f[1] then
        running[#running + 1] = math.max(0, now - ms_of(f[1]))
        running[#running + 1] = f[2] or ''
      end
    end
  end
  answer[#answer + 1] = {took_of(ARGV[i], limit), running}
end
return answer

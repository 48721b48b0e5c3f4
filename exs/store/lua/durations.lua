--@ time
-- durations(limit, name1, ...) -> {{ms, ...}, ...}: how long finished jobs of each experiment took, some of at most so many.
-- Ids are random and registries sorted by them, so that the first are a fair sample. Writes nothing.
-- keys read: exs:queues rq:finished rq:job
local limit = tonumber(ARGV[1])
local answer = {}
for i = 2, #ARGV do
  local took = {}
  local queues = redis.pcall('HKEYS', QUEUES .. ARGV[i])
  for _, queue in ipairs(queues.err and {} or queues) do
    local ids = #took < limit and redis.pcall('ZRANGE', RQ_FINISHED .. queue, 0, limit - #took - 1) or {}
    for _, id in ipairs(ids.err and {} or ids) do
      local f = redis.pcall('HMGET', RQ_JOB .. id, 'started_at', 'ended_at')
      if not f.err and f[1] and f[2] then took[#took + 1] = math.max(0, ms_of(f[2]) - ms_of(f[1])) end
    end
  end
  answer[#answer + 1] = took
end
return answer

-- How long finished jobs of an experiment took, ms, of at most `limit`, and how many of them saved a checkpoint. Ids are random
-- and registries sorted by them, so that the first are a fair sample.
local function took_of(name, limit)
  local took, saved = {}, 0
  local queues = redis.pcall('HKEYS', QUEUES .. name)
  for _, queue in ipairs(queues.err and {} or queues) do
    local ids = #took < limit and redis.pcall('ZRANGE', RQ_FINISHED .. queue, 0, limit - #took - 1) or {}
    for _, id in ipairs(ids.err and {} or ids) do
      local f = redis.pcall('HMGET', RQ_JOB .. id, 'started_at', 'ended_at', 'ck')
      if not f.err and f[1] and f[2] then
        took[#took + 1] = math.max(0, ms_of(f[2]) - ms_of(f[1]))
        if f[3] then saved = saved + 1 end
      end
    end
  end
  return took, saved
end

-- The end of an attempt that ran on the GPUs of several slots (lib/gang.lua): its mates are free again.
local function free_mates(job)
  local good, mates = pcall(cjson.decode, job.sl)
  for _, mate in ipairs(good and type(mates) == 'table' and mates or {}) do
    local slot = type(mate) == 'table' and type(mate[1]) == 'string' and mate[1] or ''
    if redis.pcall('HGET', RQ_WORKER .. slot, 'exs_with') == job.at then
      redis.call('HDEL', RQ_WORKER .. slot, 'current_job', 'exs_with', 'exs_lead')
      redis.call('HSET', RQ_WORKER .. slot, 'state', 'idle')
      redis.call('RPUSH', WAKE .. slot, '1')
      redis.call('EXPIRE', WAKE .. slot, WAKE_TTL)
    end
  end
end

-- After a loss: the leader may live and has processes to end. Its own record tells the mates to stay until it has.
local function disband(job)
  if redis.pcall('HGET', RQ_WORKER .. job.slot, 'exs_at') ~= job.at then return free_mates(job) end
  redis.call('PUBLISH', RQ_PUBSUB .. job.slot, cjson.encode({command = 'exs', want = 'fenced', job_id = job.id, attempt = job.at}))
end

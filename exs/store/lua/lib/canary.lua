-- Jobs of an experiment that run before the others: `canary` of its fields says how many must still succeed.
-- Why an experiment is paused whose first job, which was to run before all others, is over and did not succeed.
local function canary_failed(job, o)
  return 'canary: job ' .. job.exp .. '/' .. job.ix .. ' failed: ' .. (o.detail or '')
end

-- One of those jobs succeeded: with the last of them the others may run.
local function canary_succeeded(name)
  if count(name, 'canary', -1) <= 0 then redis.call('HDEL', EXPERIMENT .. name, 'canary') end
end

-- Pausing and activating: of an experiment, whose queued jobs stay where they are and leave the ready set; of a job, which
-- stands in RQ's deferred registry, scored by its index, and comes back to its place by it.
-- `why`: who or what paused it, one line.
local function pause_experiment(name, why, now)
  redis.call('HSET', EXPERIMENT .. name, 'paused', 1, 'paused_by', why, 'paused_at', now)
  sync(name)
end

local function activate_experiment(name)
  redis.call('HDEL', EXPERIMENT .. name, 'paused', 'paused_by', 'paused_at')
  sync(name)
end

-- Whether an experiment has jobs that are not over.
local function unfinished(name)
  local queues = redis.pcall('HKEYS', QUEUES .. name)
  local function any(command, key)
    local n = redis.pcall(command, key)
    return type(n) == 'number' and n > 0
  end
  for _, queue in ipairs(queues.err and {} or queues) do
    if any('LLEN', RQ_QUEUE .. queue) or any('ZCARD', RQ_WIP .. queue) or any('ZCARD', RQ_DEFERRED .. queue)
      or any('ZCARD', RQ_SCHEDULED .. queue) then return true end
  end
  return false
end

-- Puts a job that left its state where a planned stop leads: PAUSED, or back to its place in the queue.
local function set_aside(job, now)
  if job.wn == 'pause' then
    enter(job, 'PAUSED', now, {})
  else
    set_queued(job, now)
    insert(job.q, job.id, job.po)
  end
end

--@ ask
-- The attempt that holds a job, or held it last.
-- Remembers the attempt that ended last, once, before the next one overwrites it.
local function remember(job)
  if job.an <= job.hn then return end
  local f = redis.call('HMGET', RQ_JOB .. job.id, 'an', 'nd', 'gp', 'started_at', 'ended_at', 'fc', 'fd', 'xc', 'dr', 'lg', 'dn', 'gm', 'gu')
  local record = {}
  local names = {'number', 'node', 'gpus', 'started', 'ended', 'failure', 'detail', 'exit_code', 'directory', 'log', 'accepted',
    'gpu_peak', 'gpu_load'}
  for i, name in ipairs(names) do if f[i] then record[name] = f[i] end end
  redis.call('RPUSH', ATTEMPTS .. job.id, cjson.encode(record))
  redis.call('LTRIM', ATTEMPTS .. job.id, -HISTORY, -1)
  redis.call('HSET', RQ_JOB .. job.id, 'hn', job.an)
  job.hn = job.an
end

-- ours | fenced | gone: what an attempt that does not hold a job is told. Whose outcome was accepted once hears the same
-- again, also when others have held the job since (R2).
local function not_held(job, attempt)
  if not job then return 'gone' end
  if job.dn == attempt then return 'ours' end
  for _, record in ipairs(redis.pcall('LRANGE', ATTEMPTS .. job.id, 0, -1)) do
    if string.find(record, '"accepted":"' .. attempt .. '"', 1, true) then return 'ours' end
  end
  return 'fenced'
end

-- Frees the slot that held a job, unless it holds another by now. `counted`: RQ's count of jobs that this one adds to,
-- with the seconds that it ran; HINCRBYFLOAT would cost as much as all the rest (measured).
local function free_slot(slot, attempt, counted, seconds)
  local worker = RQ_WORKER .. slot
  local w = redis.call('HMGET', worker, 'exs_at', 'total_working_time', counted or 'exs_at', 'exs_failed')
  if w[1] ~= attempt then return end
  redis.call('HDEL', worker, 'current_job', 'exs_at', w[4] and counted == 'successful_job_count' and 'exs_failed' or 'exs_at')
  if counted then
    local total = string.match(w[2] or '', '^%d+%.?%d*$') and tonumber(w[2]) or 0
    redis.call('HSET', worker, 'state', 'idle', counted, number(w[3]) + 1, 'total_working_time', string.format('%.6f', total + seconds))
  else
    redis.call('HSET', worker, 'state', 'idle')
  end
end

-- Whether a job's end was asked for.
local function unwanted(job) return job.wn == 'cancel' or job.wn == 'kill' end

-- Has a job that left its state belong to another queue of its experiment.
local function stand_in(job, queue)
  redis.call('HSET', RQ_JOB .. job.id, 'origin', queue)
  job.q = queue
end

-- Takes a job that is over out of its registry, to run again with its retries and crash budget restored, and wherever it
-- could at first.
local function revive(job)
  remember(job)
  leave(job)
  redis.call('HDEL', RQ_JOB .. job.id, 'rt', 'ls', 'rk', 'om', 'qs', 'xn', 'fo', 'fc', 'fd', 'xc', 'sg', 'tl', 'rs', 'rm', 'gm', 'gu', 'lx', 'nd', 'gp',
    'ended_at', 'started_at', 'exc_info', 'description')
  local home = redis.call('HGET', RQ_JOB .. job.id, 'oq')
  if home then
    redis.call('HDEL', RQ_JOB .. job.id, 'oq')
    stand_in(job, home)
  end
end

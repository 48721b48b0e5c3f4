-- Where else a job may run: on other nodes, or on GPUs with more memory. It stands in a queue of that shape from then on,
-- and remembers in `oq` the one that it came from, for who retries it.
local LOOKED_AT = 300 -- slots of a pool, at random where there are more

local function reshape(job, shape)
  local queue = queue_for_shape(job.exp, shape)
  if queue == job.q then return end
  redis.call('HSETNX', RQ_JOB .. job.id, 'oq', job.q)
  stand_in(job, queue)
end

-- Remembers on which nodes a job must not run again, for people to see; its shape has the same for claim.
local function note_excluded(job)
  local nodes = redis.call('HGET', RQ_JOB .. job.id, 'xn')
  if string.find(',' .. (nodes or '') .. ',', ',' .. job.nd .. ',', 1, true) then return end
  redis.call('HSET', RQ_JOB .. job.id, 'xn', nodes and nodes .. ',' .. job.nd or job.nd)
end

-- Whether a slot other than `slot` lives, is not drained, and fits a shape. home: the pool of the experiment.
local function fits_another(home, shape, slot, now)
  for _, there in ipairs(shape_in_pools(home, shape)) do
    local workers = redis.pcall('SRANDMEMBER', RQ_WORKERS .. ':' .. there[1], LOOKED_AT)
    for _, key in ipairs(workers.err and {} or workers) do
      local name = string.sub(key, #RQ_WORKER + 1)
      local w = redis.pcall('HMGET', key, 'exs_node', 'exs_gpus', 'exs_memory')
      local alive = name ~= slot and not w.err and w[1]
      if alive and fits(there[2], w[2] or '', w[3] or '', w[1]) and not drained(name, w[1], now) then return true end
    end
  end
  return false
end

-- The shape for a job for which GPUs of so many bytes were too small, if it did not go to larger ones before and there is
-- a live slot that has some; else nil.
local function with_more_memory(job, shape, bytes, home)
  if bytes == 0 or redis.call('HEXISTS', RQ_JOB .. job.id, 'om') == 1 then return nil end
  local larger = shape_with_memory(shape, bytes + 1)
  return fits_another(home, larger, job.slot, now_ms()) and larger or nil
end

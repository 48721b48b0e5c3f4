-- One experiment and its counts, as lists show it: {name, flat fields, queued, running, done, failed, canceled, paused, waiting,
-- {queue, shape, jobs in its list, ...}}; nil when there is none.
local function experiment_row(name)
  local fields = redis.pcall('HGETALL', EXPERIMENT .. name)
  if fields.err or #fields == 0 then return nil end
  local function count_in(command, key)
    local n = redis.pcall(command, key)
    return type(n) == 'number' and n or 0
  end
  local queued, running, done, failed, canceled, paused, waiting, listed = 0, 0, 0, 0, 0, 0, 0, {}
  local queues = redis.pcall('HGETALL', QUEUES .. name)
  for i = 1, queues.err and 0 or #queues, 2 do
    local queue = queues[i]
    local length = count_in('LLEN', RQ_QUEUE .. queue)
    queued = queued + length
    running = running + count_in('ZCARD', RQ_WIP .. queue)
    done = done + count_in('ZCARD', RQ_FINISHED .. queue)
    failed = failed + count_in('ZCARD', RQ_FAILED .. queue)
    canceled = canceled + count_in('ZCARD', RQ_CANCELED .. queue)
    paused = paused + count_in('ZCARD', RQ_DEFERRED .. queue)
    waiting = waiting + count_in('ZCARD', RQ_SCHEDULED .. queue)
    listed[#listed + 1] = queue
    listed[#listed + 1] = queues[i + 1]
    listed[#listed + 1] = length
  end
  return {name, fields, queued, running, done, failed, canceled, paused, waiting, listed}
end

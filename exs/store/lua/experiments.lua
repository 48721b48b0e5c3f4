-- experiments(only1, ...) -> {{name, flat fields, queued, running, done, failed, canceled, paused, waiting}, ...}; all without names
-- One look at every experiment and its counts. Writes nothing.
-- keys read: exs:experiments exs:exp exs:queues rq:queue rq:wip rq:finished rq:failed rq:canceled rq:deferred
local function count(command, key)
  local n = redis.pcall(command, key)
  return type(n) == 'number' and n or 0
end
local names = #ARGV > 0 and ARGV or redis.call('ZRANGE', EXPERIMENTS, 0, -1)
local rows = {}
for _, name in ipairs(names) do
  local fields = redis.pcall('HGETALL', EXPERIMENT .. name)
  if not fields.err and #fields > 0 then
    local queued, running, done, failed, canceled, paused, waiting = 0, 0, 0, 0, 0, 0, 0
    local queues = redis.pcall('HKEYS', QUEUES .. name)
    for _, queue in ipairs(queues.err and {} or queues) do
      queued = queued + count('LLEN', RQ_QUEUE .. queue)
      running = running + count('ZCARD', RQ_WIP .. queue)
      done = done + count('ZCARD', RQ_FINISHED .. queue)
      failed = failed + count('ZCARD', RQ_FAILED .. queue)
      canceled = canceled + count('ZCARD', RQ_CANCELED .. queue)
      paused = paused + count('ZCARD', RQ_DEFERRED .. queue)
      waiting = waiting + count('ZCARD', RQ_SCHEDULED .. queue)
    end
    rows[#rows + 1] = {name, fields, queued, running, done, failed, canceled, paused, waiting}
  end
end
return rows

-- experiments(only1, ...) -> {{name, flat fields, queued, running, done, failed, canceled, paused, waiting}, ...}; all without names
-- One look at every experiment and its counts. Writes nothing.
-- keys read: exs:experiments exs:exp exs:queues rq:queue rq:wip rq:finished rq:failed rq:canceled rq:deferred
local names = #ARGV > 0 and ARGV or redis.call('ZRANGE', EXPERIMENTS, 0, -1)
local rows = {}
for _, name in ipairs(names) do
  local fields = redis.call('HGETALL', EXPERIMENT .. name)
  if #fields > 0 then
    local queued, running, done, failed, canceled, paused, waiting = 0, 0, 0, 0, 0, 0, 0
    for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do
      queued = queued + redis.call('LLEN', RQ_QUEUE .. queue)
      running = running + redis.call('ZCARD', RQ_WIP .. queue)
      done = done + redis.call('ZCARD', RQ_FINISHED .. queue)
      failed = failed + redis.call('ZCARD', RQ_FAILED .. queue)
      canceled = canceled + redis.call('ZCARD', RQ_CANCELED .. queue)
      paused = paused + redis.call('ZCARD', RQ_DEFERRED .. queue)
      waiting = waiting + redis.call('ZCARD', RQ_SCHEDULED .. queue)
    end
    for i = 1, #fields, 2 do
      if string.sub(fields[i], 1, 5) == 'dead:' then queued = queued - tonumber(fields[i + 1]) end
    end
    rows[#rows + 1] = {name, fields, queued, running, done, failed, canceled, paused, waiting}
  end
end
return rows

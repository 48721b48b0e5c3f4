-- experiments(limit, only1, ...) -> {{names left}, {name, flat fields, queued, running, done, failed, canceled, paused,
-- waiting}, ...}; all without names
-- One look at each of the first `limit` experiments and its counts, and the names of the others. Writes nothing.
-- keys read: exs:experiments exs:exp exs:queues rq:queue rq:wip rq:finished rq:failed rq:canceled rq:deferred
local function count(command, key)
  local n = redis.pcall(command, key)
  return type(n) == 'number' and n or 0
end
local names = #ARGV > 1 and {unpack(ARGV, 2)} or redis.call('ZRANGE', EXPERIMENTS, 0, -1)
local limit = tonumber(ARGV[1])
local left, rows = {}, {}
for i = limit + 1, #names do left[#left + 1] = names[i] end
rows[1] = left
for i = 1, math.min(#names, limit) do
  local name = names[i]
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

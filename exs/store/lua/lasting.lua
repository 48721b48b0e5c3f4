--@ time ready ending
-- lasting(queue1, ...) -> {now_ms, {ms, by what, the median of how many} or '', ...}: how long the job that is next in each queue
-- is expected to take at most, as slots with an end see it (lib/ending.lua). Writes nothing.
-- keys read: rq:queue rq:job exs:spec exs:queues rq:finished
local answer = {now_ms()}
for _, queue in ipairs(ARGV) do
  local id = redis.pcall('LINDEX', RQ_QUEUE .. queue, 0)
  answer[#answer + 1] = type(id) == 'string' and lasting_row(id, experiment_of(queue)) or ''
end
return answer

--@ time took
-- durations(limit, name1, ...) -> {{ms, ...}, ...}: how long finished jobs of each experiment took, some of at most so many.
-- Writes nothing. keys read: exs:queues rq:finished rq:job
local answer = {}
for i = 2, #ARGV do answer[#answer + 1] = took_of(ARGV[i], tonumber(ARGV[1])) end
return answer

--@ experiment
-- experiments(limit, only1, ...) -> {{names left}, row of lib/experiment.lua, ...}; all without names
-- One look at each of the first `limit` experiments and its counts, and the names of the others. Writes nothing.
-- keys read: exs:experiments exs:exp exs:queues rq:queue rq:wip rq:finished rq:failed rq:canceled rq:deferred rq:scheduled
local names = #ARGV > 1 and {unpack(ARGV, 2)} or redis.call('ZRANGE', EXPERIMENTS, 0, -1)
local limit = tonumber(ARGV[1])
local left, rows = {}, {}
for i = limit + 1, #names do left[#left + 1] = names[i] end
rows[1] = left
for i = 1, math.min(#names, limit) do rows[#rows + 1] = experiment_row(names[i]) end
return rows

--@ time number list ready state segments pause positions order slots beside move change made
-- update(word1, operation1, value1, ...) -> {'ok', {experiment, operation, before, after, note ...}, ...}
--   | {code, number of the operation, detail ...}
-- Changes what the queue goes by, all operations in this order or none: every one is looked at before the first is done, in the
-- state in which those before it leave the queue. A word is the name of an experiment, its eight digits, `last`, any of these
-- with /INDEX for a job of it, or the id of a job.
-- operations: priority N | weight F | resource-pool P | max-slots N or '' | ahead-of WORD | behind-of WORD | to-top, the last
--   three also for jobs, inside their experiment
-- keys: exs:exp exs:ids exs:last exs:order exs:position exs:pool exs:experiments exs:jobs rq:job rq:queue and those of sync
-- codes: missing word | pull word (no pool has it) | scheduler pool | elsewhere word pool other pool | slots N needed | pull name | kinds
--   | apart name other | whole
local changes = {}
for i = 1, #ARGV, 3 do
  local change, refusal = planned(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  if refusal then
    table.insert(refusal, 2, (i + 2) / 3)
    return refusal
  end
  changes[#changes + 1] = change
end
local done = {'ok'}
for i, change in ipairs(changes) do done[i + 1] = made(change) end
sync_all(moved)
return done

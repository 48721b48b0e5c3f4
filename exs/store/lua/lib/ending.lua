--@ time took
-- For a slot whose time is limited: which jobs it leaves to others. The rule, for claim and for `exs why`:
--
-- A job is left to others when it is likely to outlast the slot: when its `timeout`, or the median of what the finished jobs of
-- its experiment took, is longer than the slot has left. Of an experiment of which nothing is finished only the timeout counts;
-- without one its job is taken: somebody has to be the first.
-- One that saves checkpoints is taken however long it takes: what interrupts it costs it no more than the time since its last
-- checkpoint, and it goes on from there in another slot; left to others, a job of a day would never begin where every slot ends
-- within four hours. It does so if it has saved one, or if half of the finished ones of its experiment did.
local ENDING_SEEN = 200 -- queues of a shape that one claim looks at
-- Finished jobs that are measured: the median of so many is four times out of five between the 35th and the 65th percentile.
local ENDING_SAMPLE = 15
-- A measure costs 50 us. So a claim takes at most so many; those that it has no time for are left to others until its next one.
local ENDING_MEASURES = 20
local ENDING_KEPT = 60000 -- ms for which a measure is kept, in the field `tk` of its experiment

-- What finished jobs of an experiment took: median in seconds, of how many, whether they save checkpoints; nothing where none is
-- finished, false where it is not measured yet. `me`: the slot that claims, which keeps what it measured; nil for who only reads.
local function measure_of(name, me)
  local kept, now = redis.pcall('HGET', EXPERIMENT .. name, 'tk'), me and me.now or now_ms()
  local median, n, saves, at = string.match(type(kept) == 'string' and kept or '', '^(%d+) (%d+) ([01]) (%d+)$')
  if at and math.abs(now - at) < ENDING_KEPT then return median / 1000, tonumber(n), saves == '1' end
  if me and (me.measures or 0) >= ENDING_MEASURES then return false end
  local took, saved = took_of(name, ENDING_SAMPLE)
  n = #took
  if n == 0 then return nil end
  table.sort(took)
  median, saves = math.floor((took[math.floor((n + 1) / 2)] + took[math.ceil((n + 1) / 2)]) / 2), saved * 2 >= n
  if me then
    me.measures = (me.measures or 0) + 1
    redis.pcall('HSET', EXPERIMENT .. name, 'tk', string.format('%.0f %d %d %.0f', median, n, saves and 1 or 0, now))
  end
  return median / 1000, n, saves
end

-- How long a job of an experiment is expected to take at most, in seconds, by what (timeout or median), and the median of how
-- many that is; nil where nobody knows, and for one that may be interrupted; infinite while it is not measured. `me` as above.
local function lasts(id, name, me)
  local f = redis.pcall('HMGET', RQ_JOB .. id, 'sp', 'ck')
  if f.err or f[2] then return nil end
  local text = f[1] and redis.pcall('HGET', SPECS .. name, f[1])
  local read, spec = pcall(cjson.decode, type(text) == 'string' and text or '')
  local timeout = read and type(spec) == 'table' and tonumber(spec.timeout) or nil
  local median, n, saves = measure_of(name, me)
  if median == false then return math.huge end
  if saves then return nil end
  if timeout and not (median and median > timeout) then return timeout, 'timeout', 0 end
  if median then return median, 'median', n end
end

-- The same for lists: {ms, by what, of how many}; nil for nothing.
local function lasting_row(id, name)
  local seconds, by, n = lasts(id, name)
  return seconds and {math.ceil(seconds * 1000), by, n}
end

-- Whether the job at the head of a queue is likely to run longer than the slot that asks, `me`, has left.
local function outlasts(queue, me)
  local id = redis.pcall('LINDEX', RQ_QUEUE .. queue, 0)
  local seconds = type(id) == 'string' and lasts(id, experiment_of(queue), me)
  return seconds and seconds > me.left
end

-- The first ready queue of a pool's shape, and its score, that the slot can still finish; nil for none.
local function first_to_finish(key, me)
  local found = redis.call('ZRANGE', key, 0, ENDING_SEEN - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    if not outlasts(found[i], me) then return found[i], found[i + 1] end
  end
end

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
-- A measure costs 50 us, and more where an experiment has many queues. So a claim takes at most so many. Of the experiments
-- behind them an older measure counts, and else their timeouts alone: were they left to others, then what stands behind so many
-- would never begin in a slot that seldom claims, or on a full server, which keeps no measure.
local ENDING_MEASURES = 20
local ENDING_KEPT = 60000 -- ms for which a measure is kept, in the field `tk` of its experiment

-- What this script found so far: experiment -> {median, n, saves}, empty for nothing. One may have hundreds of ready queues.
local measured, measures = {}, 0

local function measure(name, me)
  local kept, now = redis.pcall('HGET', EXPERIMENT .. name, 'tk'), me and me.now or now_ms()
  local median, n, saves, at = string.match(type(kept) == 'string' and kept or '', '^(%d+) (%d+) ([01]) (%d+)$')
  local spent = me and measures >= ENDING_MEASURES
  if at and (spent or math.abs(now - at) < ENDING_KEPT) then return {median / 1000, tonumber(n), saves == '1'} end
  if spent then return {} end
  measures = measures + 1
  local took, saved = took_of(name, ENDING_SAMPLE)
  n = #took
  if n == 0 then return {} end
  table.sort(took)
  median, saves = math.floor((took[math.floor((n + 1) / 2)] + took[math.ceil((n + 1) / 2)]) / 2), saved * 2 >= n
  if me then
    redis.pcall('HSET', EXPERIMENT .. name, 'tk', string.format('%.0f %d %d %.0f', median, n, saves and 1 or 0, now))
  end
  return {median / 1000, n, saves}
end

-- What finished jobs of an experiment took: median in seconds, of how many, whether they save checkpoints; nothing where none is
-- known. `me`: the slot that claims, which keeps what it measured; nil for who only reads, and may measure all.
local function measure_of(name, me)
  measured[name] = measured[name] or measure(name, me)
  return unpack(measured[name], 1, 3)
end

-- The `timeout` of a Spec of an experiment in seconds, nil for none; false in the table stands for that.
local timeouts = {}
local function timeout_of(name, digest)
  local key = name .. ' ' .. digest
  if timeouts[key] == nil then
    local text = redis.pcall('HGET', SPECS .. name, digest)
    local read, spec = pcall(cjson.decode, type(text) == 'string' and text or '')
    timeouts[key] = read and type(spec) == 'table' and tonumber(spec.timeout) or false
  end
  return timeouts[key] or nil
end

-- How long a job of an experiment is expected to take at most, in seconds, by what (timeout or median), and the median of how
-- many that is; nil where nobody knows, and for one that may be interrupted. `me` as above.
local function lasts(id, name, me)
  local f = redis.pcall('HMGET', RQ_JOB .. id, 'sp', 'ck')
  if f.err or f[2] then return nil end
  local timeout = f[1] and timeout_of(name, f[1]) or nil
  local median, n, saves = measure_of(name, me)
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

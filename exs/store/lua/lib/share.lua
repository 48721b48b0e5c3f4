--@ number
-- In which order the queues of a pool are claimed from.
-- Where the nth queue of an experiment stands among those of its pool, as a score. By priority: above FAIR, its
-- experiment's place in the order. By fair share: below it, what its experiment has running by its weight and its demand, so
-- that slots go where that is least and come out in proportion to weight and demand (Adams' divisor method: nobody with
-- demand is left at zero). Those with nothing running come first, in order. No score depends on another experiment, so each
-- change is one ZADD.
local FAIR = 2 ^ 45
local function score_of(order, used, nth)
  nth = math.min(nth, 127)
  if not used then return string.format('%.0f', order * 128 + nth) end
  if used == 0 then return string.format('%.17g', (order * 128 + nth) / 2 ^ 53 - 1) end
  return string.format('%.17g', math.min(used, FAIR / 2) * (1 + nth / 2 ^ 40))
end

-- A weight that is none counts as 1.
local function weight_of(text)
  local weight = tonumber(text or 1) or 1
  return weight > 0 and weight < FAIR and weight or 1
end

local fair_pools = {}
local function shares_fairly(pool)
  if fair_pools[pool] == nil then fair_pools[pool] = redis.pcall('HGET', POOL .. pool, 'scheduler') == 'fair_share' end
  return fair_pools[pool]
end

-- An experiment that stands ready in a fair-share pool says so to the script that ends an attempt.
local function note_fair(name, fair, noted)
  if fair and not noted then redis.call('HSET', EXPERIMENT .. name, 'fair', 1) end
  if noted and not fair then redis.call('HDEL', EXPERIMENT .. name, 'fair') end
end

local preempting = {}
local function preempts(pool)
  if preempting[pool] == nil then preempting[pool] = redis.pcall('HGET', POOL .. pool, 'preemption') == 'on' end
  return preempting[pool]
end

-- How many jobs wait in each of the queues of an experiment: {{queue, shape, length}, ...} and their sum.
local function lengths_of(name)
  local found, total = {}, 0
  local queues = redis.pcall('HGETALL', QUEUES .. name)
  for i = 1, queues.err and 0 or #queues, 2 do
    local length = redis.pcall('LLEN', RQ_QUEUE .. queues[i])
    length = type(length) == 'number' and length or 0
    found[#found + 1] = {queues[i], queues[i + 1], length}
    total = total + length
  end
  return found, total
end

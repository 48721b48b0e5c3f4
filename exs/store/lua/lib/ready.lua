--@ number shape reshape share slots hold wake relieve
-- Which queues can be claimed from, and who is woken when that changes.
-- Every script that changes what a queue holds, whether its experiment may run, or how many of its jobs run,
-- calls `sync` or keeps the ready set itself; so claim never looks at a queue from which it cannot take.
local function experiment_of(queue) return (string.gsub(queue, '~%d+$', '')) end

local function number_of(queue) return tonumber(string.match(queue, '~(%d+)$') or 1) end

-- The queue of a committed experiment that takes jobs of a shape, made if there is none yet. A push under way makes queues of
-- its own: it must not give one the same number.
local function queue_for_shape(name, shape)
  local known, best = redis.call('HGETALL', QUEUES .. name), nil
  for i = 1, #known, 2 do
    if known[i + 1] == shape and (not best or number_of(best) < number_of(known[i])) then best = known[i] end
  end
  if best then return best end
  local most = number(redis.call('HGET', EXPERIMENT .. name, 'queues'))
  local staged = redis.call('HGET', STAGE .. name, 'queues')
  if staged then most = math.max(most, number(staged)) end
  redis.call('HSET', EXPERIMENT .. name, 'queues', most + 1)
  if staged then redis.call('HSET', STAGE .. name, 'queues', most + 1) end
  local queue = most == 0 and name or name .. '~' .. most + 1
  redis.call('HSET', QUEUES .. name, queue, shape)
  redis.call('SADD', RQ_QUEUES, RQ_QUEUE .. queue)
  return queue
end

-- In one of the pools in which a shape stands ready.
local function set_ready(pool, shape, queue, score)
  redis.call('ZADD', READY .. pool .. ':' .. shape, score, queue)
  redis.call('SADD', SHAPES .. pool, shape)
end

local function unset_ready(pool, shape, queue)
  for _, there in ipairs(shape_in_pools(pool, shape)) do
    local key = READY .. there[1] .. ':' .. there[2]
    if redis.call('ZREM', key, queue) == 1 then
      if redis.call('EXISTS', key) == 0 then redis.call('SREM', SHAPES .. there[1], there[2]) end
      if slots_of(shape) > 1 then drop_holds(queue) end
    end
  end
end

-- Pools in which jobs wait that found no idle slot, or in which something moved, and where jobs may be stopped for others.
local pressed = {}

-- Brings the ready set in line with one experiment; wakes idle slots for what became ready. `quiet`: nothing did, only its
-- share has changed.
local function refresh(name, quiet)
  local e = redis.pcall('HMGET', EXPERIMENT .. name, 'pool', 'kind', 'paused', 'max', 'running', 'archived', 'fair', 'weight',
    'canary')
  if e.err or not e[1] then return end
  local max, running = most(e[4], e[9]), number(e[5])
  local room = max and max - running or 1000000
  local queues, queued = lengths_of(name)
  local order = redis.call('ZSCORE', ORDER .. e[1], name)
  local runs = order and (e[2] == 'run' or e[1] == PULL_POOL .. name) and e[3] ~= '1' and e[6] ~= '1' and room > 0
  local used = running / (weight_of(e[8]) * math.max(math.min(queued + running, max or 2 ^ 53), 1))
  local fair = false
  for _, one in ipairs(queues) do
    local queue, shape, length = unpack(one)
    if runs and length > 0 then
      for _, there in ipairs(shape_in_pools(e[1], shape)) do
        local shared = shares_fairly(there[1])
        fair = fair or shared
        set_ready(there[1], there[2], queue, score_of(order, shared and used, number_of(queue)))
        local left = quiet and 0 or wake(there[1], there[2], math.min(length, room) * slots_of(there[2]), name)
        if (left > 0 or not quiet and slots_of(there[2]) > 1) and preempts(there[1]) then pressed[there[1]] = true end
      end
      room = math.max(room - length, 0)
    else
      unset_ready(e[1], shape, queue)
    end
  end
  note_fair(name, fair, e[7])
  return e[1]
end

-- At most so many pools per script: the others at the next reap.
local function relieve_pressed()
  local left = 2
  for pool in pairs(pressed) do
    if left > 0 then relieve(pool) end
    left = left - 1
  end
  pressed = {}
end

-- What a script calls that changed an experiment, and is not about a slot that takes a job or has ended one (`refresh`).
local function sync(name)
  refresh(name)
  relieve_pressed()
end

-- `touched`: NAME -> true.
local function sync_all(touched)
  for name in pairs(touched) do
    local pool = refresh(name)
    if pool and preempts(pool) then pressed[pool] = true end
  end
  relieve_pressed()
end

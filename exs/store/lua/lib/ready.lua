--@ shape
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

-- What the slots that wait in a pool offer, where it fits a shape: looked through once per script and shape, since many
-- experiments want the same and a thousand slots may wait.
local fitting = {}
local function offers_for(pool, shape)
  local found = fitting[pool .. ':' .. shape]
  if found then return found end
  found = {}
  for _, offer in ipairs(redis.call('SMEMBERS', OFFERS .. pool)) do
    local devices, memory, only = string.match(offer, '^([^|]*)|([^|]*)|(.*)$')
    if devices and fits(shape, devices, memory) then found[#found + 1] = {text = offer, devices = devices, memory = memory, only = only} end
  end
  fitting[pool .. ':' .. shape] = found
  return found
end

-- Slots that are asked for their node, where a shape names nodes: so many per offer.
local ASKED = 100

-- At most n of the slots that wait with an offer. An offer does not say of which node it is: there would be as many as slots.
local function waiting(key, offer, shape, n)
  local named = string.find(shape, '|in=', 1, true) or string.find(shape, '|not=', 1, true)
  local slots = redis.call('ZRANGEBYSCORE', key, now_ms(), '+inf', 'LIMIT', 0, named and ASKED or n)
  if not named then return slots, #slots < n end
  local found = {}
  for _, slot in ipairs(slots) do
    local node = redis.pcall('HGET', RQ_WORKER .. slot, 'exs_node')
    if #found < n and type(node) == 'string' and fits(shape, offer.devices, offer.memory, node) then found[#found + 1] = slot end
  end
  return found, #slots == 0
end

-- Leaves one token each for at most n slots that wait for this; they are idle no longer.
local function wake(pool, shape, n, name)
  for _, offer in ipairs(offers_for(pool, shape)) do
    if n <= 0 then return end
    if offer.only == '' or offer.only == name then
      local key = IDLE .. pool .. ':' .. offer.text
      local slots, no_more = waiting(key, offer, shape, n)
      for _, slot in ipairs(slots) do
        redis.call('ZREM', key, slot)
        redis.call('RPUSH', WAKE .. slot, '1')
        redis.call('EXPIRE', WAKE .. slot, WAKE_TTL)
      end
      n = n - #slots
      -- Those who are left have fallen silent.
      if no_more then redis.call('DEL', key) redis.call('SREM', OFFERS .. pool, offer.text) end
    end
  end
end

-- `pool`: that of the experiment; a shape may have it stand ready in others, in the same order.
local function set_ready(pool, shape, queue, name)
  local order = redis.call('ZSCORE', ORDER .. pool, name)
  if not order then return end
  local score = string.format('%.0f', order * 128 + math.min(number_of(queue), 127))
  for _, there in ipairs(shape_in_pools(pool, shape)) do
    redis.call('ZADD', READY .. there[1] .. ':' .. there[2], score, queue)
    redis.call('SADD', SHAPES .. there[1], there[2])
  end
end

local function unset_ready(pool, shape, queue)
  for _, there in ipairs(shape_in_pools(pool, shape)) do
    local key = READY .. there[1] .. ':' .. there[2]
    if redis.call('ZREM', key, queue) == 1 and redis.call('EXISTS', key) == 0 then
      redis.call('SREM', SHAPES .. there[1], there[2])
    end
  end
end

-- Brings the ready set in line with one experiment; wakes idle slots for what became ready.
local function sync(name)
  local e = redis.pcall('HMGET', EXPERIMENT .. name, 'pool', 'kind', 'paused', 'max', 'running', 'archived')
  if e.err or not e[1] then return end
  local max = whole(e[4])
  local room = max and max - number(e[5]) or 1000000
  local runs = e[2] == 'run' and e[3] ~= '1' and e[6] ~= '1' and room > 0
  local queues = redis.pcall('HGETALL', QUEUES .. name)
  for i = 1, queues.err and 0 or #queues, 2 do
    local queue, shape = queues[i], queues[i + 1]
    local length = redis.pcall('LLEN', RQ_QUEUE .. queue)
    if runs and type(length) == 'number' and length > 0 then
      set_ready(e[1], shape, queue, name)
      for _, there in ipairs(shape_in_pools(e[1], shape)) do wake(there[1], there[2], math.min(length, room), name) end
      room = math.max(room - length, 0)
    else
      unset_ready(e[1], shape, queue)
    end
  end
end

-- `touched`: NAME -> true.
local function sync_all(touched)
  for name in pairs(touched) do sync(name) end
end

-- Which queues can be claimed from, and who is woken when that changes.
-- Every script that changes what a queue holds, whether its experiment may run, or how many of its jobs run,
-- calls `sync` or keeps the ready set itself; so claim never looks at a queue from which it cannot take.
local function experiment_of(queue) return (string.gsub(queue, '~%d+$', '')) end

local function number_of(queue) return tonumber(string.match(queue, '~(%d+)$') or 1) end

-- shape: '<gpus>|<indices>|<bytes>'; gpus '*' takes any slot. A slot offers its device names (comma separated)
-- and the memory of its smallest device.
local function fits(shape, devices, memory)
  if shape == '*||' then return true end
  local gpus, indices, bytes = string.match(shape, '^([%d*]+)|([^|]*)|(%d*)$')
  if not gpus then return false end
  local have = 0
  for device in string.gmatch(devices, '[^,]+') do
    have = have + 1
    if indices ~= '' and not string.find(',' .. indices .. ',', ',' .. device .. ',', 1, true) then return false end
  end
  if indices ~= '' and have == 0 then return false end
  if gpus == '0' and have > 0 then return false end
  if gpus ~= '*' and have < (tonumber(gpus) or 0) then return false end
  return bytes == '' or (tonumber(memory) or 0) >= tonumber(bytes)
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
    if devices and fits(shape, devices, memory) then found[#found + 1] = {text = offer, only = only} end
  end
  fitting[pool .. ':' .. shape] = found
  return found
end

-- Leaves one token each for at most n slots that wait for this; they are idle no longer.
local function wake(pool, shape, n, name)
  for _, offer in ipairs(offers_for(pool, shape)) do
    if n <= 0 then return end
    if offer.only == '' or offer.only == name then
      local key = IDLE .. pool .. ':' .. offer.text
      local slots = redis.call('ZRANGEBYSCORE', key, now_ms(), '+inf', 'LIMIT', 0, n)
      for _, slot in ipairs(slots) do
        redis.call('ZREM', key, slot)
        redis.call('RPUSH', WAKE .. slot, '1')
        redis.call('EXPIRE', WAKE .. slot, WAKE_TTL)
      end
      n = n - #slots
      -- Those who are left have fallen silent.
      if n > 0 then redis.call('DEL', key) redis.call('SREM', OFFERS .. pool, offer.text) end
    end
  end
end

local function set_ready(pool, shape, queue, name)
  local order = redis.call('ZSCORE', ORDER .. pool, name)
  if not order then return end
  local score = order * 128 + math.min(number_of(queue), 127)
  redis.call('ZADD', READY .. pool .. ':' .. shape, string.format('%.0f', score), queue)
  redis.call('SADD', SHAPES .. pool, shape)
end

local function unset_ready(pool, shape, queue)
  local key = READY .. pool .. ':' .. shape
  if redis.call('ZREM', key, queue) == 1 and redis.call('EXISTS', key) == 0 then
    redis.call('SREM', SHAPES .. pool, shape)
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
      wake(e[1], shape, math.min(length, room), name)
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

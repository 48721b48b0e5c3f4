-- Which queues can be claimed from, and who is woken when that changes.
-- Every script that changes what a queue holds, whether its experiment may run, or how many of its jobs run,
-- calls `sync` or keeps the ready set itself; so claim never looks at a queue from which it cannot take.
local function experiment_of(queue) return (string.gsub(queue, '~%d+$', '')) end

local function number_of(queue) return tonumber(string.match(queue, '~(%d+)$') or 1) end

-- shape: '<gpus>|<indices>|<bytes>'; gpus '*' takes any slot. A slot offers its device names (comma separated)
-- and the memory of its smallest device.
local function fits(shape, devices, memory)
  local gpus, indices, bytes = string.match(shape, '^([^|]*)|([^|]*)|([^|]*)$')
  if not gpus then return false end
  local have = 0
  for device in string.gmatch(devices, '[^,]+') do
    have = have + 1
    if indices ~= '' and not string.find(',' .. indices .. ',', ',' .. device .. ',', 1, true) then return false end
  end
  if indices ~= '' and have == 0 then return false end
  if gpus == '0' and have > 0 then return false end
  if gpus ~= '*' and gpus ~= '0' and have < tonumber(gpus) then return false end
  return bytes == '' or tonumber(memory) >= tonumber(bytes)
end

-- Leaves one token each for at most n idle slots of the pool that fit; they are idle no longer.
local function wake(pool, shape, n)
  local idle = redis.call('HGETALL', IDLE .. pool)
  for i = 1, #idle, 2 do
    if n <= 0 then return end
    local devices, memory = string.match(idle[i + 1], '^([^|]*)|(.*)$')
    if devices and fits(shape, devices, memory) then
      redis.call('HDEL', IDLE .. pool, idle[i])
      redis.call('RPUSH', WAKE .. idle[i], '1')
      redis.call('EXPIRE', WAKE .. idle[i], WAKE_TTL)
      n = n - 1
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
  local e = redis.call('HMGET', EXPERIMENT .. name, 'pool', 'kind', 'paused', 'max', 'running', 'archived')
  if not e[1] then return end
  local room = e[4] and e[4] - (e[5] or 0) or 1000000
  local runs = e[2] == 'run' and e[3] ~= '1' and e[6] ~= '1' and room > 0
  local queues = redis.call('HGETALL', QUEUES .. name)
  for i = 1, #queues, 2 do
    local queue, shape = queues[i], queues[i + 1]
    local length = redis.call('LLEN', RQ_QUEUE .. queue)
    if runs and length > 0 then
      set_ready(e[1], shape, queue, name)
      wake(e[1], shape, math.min(length, room))
    else
      unset_ready(e[1], shape, queue)
    end
  end
end

-- Lets `rq info` show the slots, which listen on pools, at the queues that they serve: it asks each queue who listens.
-- At most so many names are compared in one script, so that a large fleet is shown in turns.
local NAMES = 1000
-- Names of workers looked up per script, at random.
local LOOKED_UP = 20

-- A worker that vanished without a word, its node cut off, leaves its name behind when its record expires.
local function forget_vanished()
  local some = redis.pcall('SRANDMEMBER', RQ_WORKERS, LOOKED_UP)
  for _, key in ipairs(some.err and {} or some) do
    if redis.call('EXISTS', key) == 0 then redis.call('SREM', RQ_WORKERS, key) end
  end
end

-- Keeps of a list of workers those that there are.
local function keep_registered(list)
  local gone = redis.pcall('SDIFF', list, RQ_WORKERS)
  if not gone.err and #gone > 0 then redis.call('SREM', list, unpack(gone, 1, math.min(#gone, NAMES))) end
end

-- What one experiment costs of them. A queue that RQ's clients took off the list of queues is listed again.
local function show(name)
  local e = redis.pcall('HMGET', EXPERIMENT .. name, 'pool', 'archived')
  local pool = e[1]
  if not pool or e[2] == '1' then return 1 end
  local slots, cost = RQ_WORKERS .. ':' .. pool, 0
  keep_registered(slots)
  for _, queue in ipairs(queues_of(name)) do
    local here = RQ_WORKERS .. ':' .. queue
    redis.pcall('SADD', RQ_QUEUES, RQ_QUEUE .. queue)
    local new = redis.pcall('SDIFF', slots, here)
    if not new.err and #new > 0 then redis.call('SUNIONSTORE', here, here, slots) end
    keep_registered(here)
    local many = redis.pcall('SCARD', RQ_WORKERS)
    cost = cost + 1 + (type(many) == 'number' and many or 0)
  end
  return cost
end

local function show_some(names, turn)
  forget_vanished()
  local left = NAMES
  for i = 1, #names do
    if left <= 0 then return end
    left = left - show(names[(turn + i) % #names + 1])
  end
end

-- Lets `rq info` show the slots, which listen on pools, at the queues that they serve: it asks each queue who listens.
-- At most so many names are compared in one script, so that a large fleet is shown in turns.
local NAMES = 1000

-- What one experiment costs of them. A queue that RQ's clients took off the list of queues is listed again.
local function show(name)
  local pool = redis.pcall('HGET', EXPERIMENT .. name, 'pool')
  if type(pool) ~= 'string' then return 1 end
  local slots, cost = RQ_WORKERS .. ':' .. pool, 0
  for _, queue in ipairs(queues_of(name)) do
    local here = RQ_WORKERS .. ':' .. queue
    redis.pcall('SADD', RQ_QUEUES, RQ_QUEUE .. queue)
    local new, old = redis.pcall('SDIFF', slots, here), redis.pcall('SDIFF', here, RQ_WORKERS)
    if not new.err and #new > 0 then redis.call('SUNIONSTORE', here, here, slots) end
    if not old.err and #old > 0 then redis.call('SINTERSTORE', here, here, RQ_WORKERS) end
    local many = redis.pcall('SCARD', RQ_WORKERS)
    cost = cost + 1 + (type(many) == 'number' and many or 0)
  end
  return cost
end

local function show_some(names, turn)
  local left = NAMES
  for i = 1, #names do
    if left <= 0 then return end
    left = left - show(names[(turn + i) % #names + 1])
  end
end

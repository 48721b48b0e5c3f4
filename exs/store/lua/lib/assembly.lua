--@ ready pick hold
-- On which node a job of several slots is assembled, and for which of them a node holds slots; the rules stand in lib/gang.lua.
local PATIENCE = 600000 -- ms
-- How many jobs of g may start now, as far as a limit on what runs at once goes.
local function startable(g)
  local many = redis.pcall('LLEN', RQ_QUEUE .. g.queue)
  local e = redis.pcall('HMGET', EXPERIMENT .. experiment_of(g.queue), 'running', 'max')
  local room = not e.err and e[2] and (whole(e[2]) or 2 ^ 53) - number(e[1]) or 2 ^ 53
  return math.min(type(many) == 'number' and many or 0, room)
end

-- Whether this node may assemble a job of g, whose jobs others may assemble already; `spare`: its idle slots for g.
local function may_hold(g, spare, me)
  if #spare >= g.k then return true end
  local nodes = redis.call('ZRANGE', HOLDING .. g.queue, 0, -1, 'WITHSCORES')
  local others, oldest, least, weakest = 0, me.now, nil, nil
  for i = 1, #nodes, 2 do
    local hold = nodes[i] ~= me.node and hold_of(nodes[i])
    local held = hold and hold.queue == g.queue and held_now(hold, me.now) or 0
    if held > 0 then
      local n = math.max(held, tonumber(hold.spare) or 0)
      others, oldest = others + 1, math.min(oldest, tonumber(nodes[i + 1]))
      if not least or n < least then least, weakest = n, nodes[i] end
    elseif nodes[i] ~= me.node then
      redis.call('ZREM', HOLDING .. g.queue, nodes[i])
    end
  end
  if others == 0 or others < startable(g) * (1 + math.floor((me.now - oldest) / PATIENCE)) then return true end
  if #spare <= least then return false end
  drop_hold(weakest)
  return true
end

-- Whether what this node holds already goes before g; what nobody waits for any more does not. Of one queue, that which began.
local function goes_before(hold, g, me)
  if not hold then return false end
  if hold.queue == g.queue then
    return hold.k ~= tostring(g.k) and held_now(hold, me.now) > ((hold.slots[me.slot] or 0) > me.now and 1 or 0)
  end
  local score = redis.call('ZSCORE', READY .. (hold.pool or '') .. ':' .. (hold.shape or ''), hold.queue)
  return score and held_now(hold, me.now) > 0 and better({pool = hold.pool, queue = hold.queue, score = tonumber(score)}, g)
end

-- Notes that this slot is held for g, and asks the idle ones that are not yet to come.
local function join(g, hold, spare, me)
  local key = HOLD .. me.node
  if hold and (hold.queue ~= g.queue or hold.k ~= tostring(g.k)) then
    drop_hold(me.node, me.slot)
    hold = nil
  end
  if not hold then
    redis.call('HSET', key, 'queue', g.queue, 'pool', g.pool, 'shape', g.shape, 'k', g.k)
    hold = {slots = {}}
  end
  if not hold.slots[me.slot] then
    for _, one in ipairs(spare) do
      if one.name ~= me.slot and not hold.slots[one.name] then token(one.name) end
    end
  end
  hold.slots[me.slot] = me.now + me.lease
  redis.call('HSET', key, 'spare', #spare, 's:' .. me.slot, string.format('%.0f', me.now + me.lease))
  redis.call('PEXPIRE', key, me.lease)
  redis.call('ZADD', HOLDING .. g.queue, 'NX', me.now, me.node)
  redis.call('PEXPIRE', HOLDING .. g.queue, 2 * me.lease)
  return hold
end

-- What nodes hold for jobs of several slots, see lib/gang.lua: exs:hold:NODE and exs:holding:QUEUE.
local function token(slot)
  redis.call('RPUSH', WAKE .. slot, '1')
  redis.call('EXPIRE', WAKE .. slot, WAKE_TTL)
end

-- What a node holds: {queue, pool, shape, k, slots = {SLOT -> until}}; nil for nothing.
local function hold_of(node)
  local flat = redis.pcall('HGETALL', HOLD .. node)
  local hold = {slots = {}}
  for i = 1, flat.err and 0 or #flat, 2 do
    local slot = string.match(flat[i], '^s:(.+)$')
    if slot then hold.slots[slot] = tonumber(flat[i + 1]) or 0 else hold[flat[i]] = flat[i + 1] end
  end
  return hold.queue and hold or nil
end

-- How many slots a node holds until later than now.
local function held_now(hold, now)
  local n = 0
  for _, till in pairs(hold.slots) do if till > now then n = n + 1 end end
  return n
end

-- Ends an assembly; its slots look for other work at once, but for `except`.
local function drop_hold(node, except)
  local hold = hold_of(node)
  if not hold then return end
  redis.call('DEL', HOLD .. node)
  redis.call('ZREM', HOLDING .. hold.queue, node)
  for slot in pairs(hold.slots) do
    if slot ~= except then token(slot) end
  end
end

-- One slot is held no longer.
local HOLD_FACTS = 5 -- fields of a hold that are no slots
local function let_go(node, slot)
  redis.call('HDEL', HOLD .. node, 's:' .. slot)
  if redis.call('HLEN', HOLD .. node) <= HOLD_FACTS then drop_hold(node) end
end

-- Ends every assembly for a queue from which nothing can be claimed any more.
local function drop_holds(queue)
  for _, node in ipairs(redis.call('ZRANGE', HOLDING .. queue, 0, -1)) do
    local hold = hold_of(node)
    if hold and hold.queue == queue then drop_hold(node) end
  end
  redis.call('DEL', HOLDING .. queue)
end

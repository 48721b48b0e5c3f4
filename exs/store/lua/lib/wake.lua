--@ time shape share coming
-- Who is told that there is work.
-- Whether a slot fits a shape, or may be one of several that do.
local function useful(shape, devices, memory, node)
  return fits(shape, devices, memory, node) or part_of(shape, devices, memory, node) ~= nil
end

-- What the slots that wait in a pool offer, where it fits a shape: looked through once per script and shape, since many
-- experiments want the same and a thousand slots may wait.
local fitting = {}
local function offers_for(pool, shape)
  local found = fitting[pool .. ':' .. shape]
  if found then return found end
  found = {}
  local free = 0
  for _, offer in ipairs(redis.call('SMEMBERS', OFFERS .. pool)) do
    local devices, memory, only, rest = string.match(offer, '^([^|]*)|([^|]*)|([^|]*)(.*)$')
    if devices and useful(shape, devices, memory) then
      -- Slots that have an end are woken behind others, since they may have to leave the job to those; and those last that are
      -- held for a job of several: what is behind it is nothing for them.
      local at = rest == '' and 1 or rest == '|ends' and free + 1 or #found + 1
      if rest == '' then free = free + 1 end
      local ends = string.find(rest, '|ends', 1, true) ~= nil
      table.insert(found, at, {text = offer, devices = devices, memory = memory, only = only, ends = ends})
    end
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
    if #found < n and type(node) == 'string' and useful(shape, offer.devices, offer.memory, node) then found[#found + 1] = slot end
  end
  return found, #slots == 0
end

-- Leaves one token each for at most n slots that wait for this; they are idle no longer. Returns how many jobs have none.
local function wake(pool, shape, n, name)
  for _, offer in ipairs(offers_for(pool, shape)) do
    if n <= 0 then return 0 end
    if offer.only == '' or offer.only == name then
      local key = IDLE .. pool .. ':' .. offer.text
      local slots, no_more = waiting(key, offer, shape, n)
      for _, slot in ipairs(slots) do
        redis.call('ZREM', key, slot)
        redis.call('RPUSH', WAKE .. slot, '1')
        redis.call('EXPIRE', WAKE .. slot, WAKE_TTL)
        -- One with an end, of which something is expected already, has been woken in vain and may be so again.
        if preempts(pool) and not (offer.ends and redis.call('HEXISTS', COMING .. pool, slot) == 1) then
          local node = redis.call('HGET', RQ_WORKER .. slot, 'exs_node') or '?'
          expect(pool, slot, {at = '', ms = now_ms(), devices = offer.devices, memory = offer.memory, node = node})
        end
      end
      n = n - #slots
      -- Those who are left have fallen silent.
      if no_more then redis.call('DEL', key) redis.call('SREM', OFFERS .. pool, offer.text) end
    end
  end
  return n
end

-- Slots that take no job though they live. DRAINED holds NODE or NODE:SUFFIX -> a drain as JSON (`DRAIN_FIELDS`).
-- What a slot is called at every start: its name without what tells its processes apart.
local function lasting(slot) return (string.gsub(slot, '@%x+$', '')) end

-- A drain as it is stored; nil for none and for one that has ended by itself. One that cannot be read drains all the same.
local function drain_in(text, now)
  if type(text) ~= 'string' then return nil end
  local good, d = pcall(cjson.decode, text)
  if not good or type(d) ~= 'table' then return {} end
  local over = d['until']
  return not (type(over) == 'number' and over <= now) and d or nil
end

-- By which drain a slot takes no job, and what is drained, its node or itself; nil when it takes some.
local function drained(slot, node, now)
  local own = lasting(slot)
  local f = redis.pcall('HMGET', DRAINED, node, own)
  if f.err then return nil end
  local whole = drain_in(f[1], now)
  if whole then return whole, node end
  local part = drain_in(f[2], now)
  if part then return part, own end
end

-- The registered slots of a node, or the one of that name: {name, pools, offer, job, attempt}.
local function slots_in(place)
  local found = {}
  local keys = redis.pcall('SMEMBERS', RQ_WORKERS)
  for _, key in ipairs(keys.err and {} or keys) do
    local slot = string.sub(key, #RQ_WORKER + 1)
    if lasting(slot) == place or redis.pcall('HGET', key, 'exs_node') == place then
      local w = redis.pcall('HMGET', key, 'queues', 'exs_offer', 'current_job', 'exs_at')
      found[#found + 1] = {name = slot, pools = w[1] or '', offer = w[2], job = w[3], at = w[4]}
    end
  end
  return found
end

-- Drains a node or a slot: it is given no job from now on, and woken for none. d: see DRAIN_FIELDS.
local function set_drained(place, d)
  redis.call('HSET', DRAINED, place, cjson.encode(d))
  for _, slot in ipairs(slots_in(place)) do
    for pool in string.gmatch(slot.offer and slot.pools or '', '[^,]+') do
      redis.call('ZREM', IDLE .. pool .. ':' .. slot.offer, slot.name)
    end
  end
end

-- Ends a drain; its slots look for a job at once. False when there was none.
local function end_drain(place)
  if redis.call('HDEL', DRAINED, place) == 0 then return false end
  for _, slot in ipairs(slots_in(place)) do
    if not slot.at then
      redis.call('RPUSH', WAKE .. slot.name, '1')
      redis.call('EXPIRE', WAKE .. slot.name, WAKE_TTL)
    end
  end
  return true
end

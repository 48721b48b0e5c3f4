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

-- The registered slots of these nodes, and those of these names: {name, pools, offer, job, attempt}. places: name -> true.
local function slots_in(places)
  local found = {}
  local keys = redis.pcall('SMEMBERS', RQ_WORKERS)
  for _, key in ipairs(keys.err and {} or keys) do
    local slot = string.sub(key, #RQ_WORKER + 1)
    local node = redis.pcall('HGET', key, 'exs_node')
    if places[lasting(slot)] or type(node) == 'string' and places[node] then
      local w = redis.pcall('HMGET', key, 'queues', 'exs_offer', 'current_job', 'exs_at')
      found[#found + 1] = {name = slot, pools = w[1] or '', offer = w[2], job = w[3], at = w[4]}
    end
  end
  return found
end

-- Drains nodes and slots: they are given no job from now on, and woken for none. drains: place -> drain (DRAIN_FIELDS).
local function set_drains(drains)
  for place, d in pairs(drains) do redis.call('HSET', DRAINED, place, cjson.encode(d)) end
  for _, slot in ipairs(slots_in(drains)) do
    for pool in string.gmatch(slot.offer and slot.pools or '', '[^,]+') do
      redis.call('ZREM', IDLE .. pool .. ':' .. slot.offer, slot.name)
    end
  end
end

local function set_drained(place, d) set_drains({[place] = d}) end

-- Ends drains; their slots look for a job at once.
local function end_drains(places)
  for place in pairs(places) do redis.call('HDEL', DRAINED, place) end
  for _, slot in ipairs(slots_in(places)) do
    if not slot.at then
      redis.call('RPUSH', WAKE .. slot.name, '1')
      redis.call('EXPIRE', WAKE .. slot.name, WAKE_TTL)
    end
  end
end

-- Asks what still runs where a drain has waited long enough to stop, once per drain; it goes back to its place.
local function stop_drained(now)
  if redis.call('EXISTS', DRAINED) == 0 then return end
  local flat = redis.pcall('HGETALL', DRAINED)
  local due, any = {}, false
  for i = 1, flat.err and 0 or #flat, 2 do
    local d = drain_in(flat[i + 1], now)
    if d and type(d.stop) == 'number' and d.stop <= now and not d.asked then
      d.asked, due[flat[i]], any = 1, true, true
      redis.call('HSET', DRAINED, flat[i], cjson.encode(d))
    end
  end
  for _, slot in ipairs(any and slots_in(due) or {}) do
    local job = slot.job and load(slot.job)
    if job and job.at and job.at == slot.at then ask(job, 'preempt') end
  end
end

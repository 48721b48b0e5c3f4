--@ drain
-- Draining and enabling: see lib/drain.lua for what stands in Redis.
-- The registered slots of these nodes, and those of these names: {name, pools, offer, job, attempt}. places: name -> true.
local function slots_in(places)
  local found = {}
  local keys = redis.pcall('SMEMBERS', RQ_WORKERS)
  for _, key in ipairs(keys.err and {} or keys) do
    local slot = string.sub(key, #RQ_WORKER + 1)
    local node = redis.pcall('HGET', key, 'exs_node')
    if places[lasting(slot)] or type(node) == 'string' and places[node] then
      local w = redis.pcall('HMGET', key, 'queues', 'exs_offer', 'current_job', 'exs_at', 'exs_with')
      found[#found + 1] = {name = slot, pools = w[1] or '', offer = w[2], job = w[3], at = w[4] or w[5]}
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

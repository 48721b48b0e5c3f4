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

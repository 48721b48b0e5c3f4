-- Numbers in fields that anybody may have written. A loop to 'inf' would hold Redis for ever, HINCRBY on text would end
-- a script in the middle.
-- whole(text): the number, nil for what is no whole number of ours. number(text): the same, else 0. decimal(text): also
-- with a fraction.
local function whole(text) return text and #text < 16 and string.match(text, '^-?%d+$') and tonumber(text) or nil end

local function number(text) return whole(text) or 0 end

local function decimal(text) return text and #text < 24 and string.match(text, '^-?%d+%.?%d*$') and tonumber(text) or nil end

-- Where a job stands in its experiment: at its index, unless it was moved. Nil for what is no job of ours.
local function stands_at(id)
  local f = redis.pcall('HMGET', RQ_JOB .. id, 'po', 'ix')
  return not f.err and (decimal(f[1]) or whole(f[2])) or nil
end

-- How many jobs of an experiment may run at once: `max` of its fields, and as many as its canary still needs; nil for any.
local function most(max, canary)
  local n, first = whole(max), whole(canary)
  return n and first and math.min(n, first) or n or first
end

-- Adds n to a count of an experiment; one that cannot be read starts anew. Returns the count.
local function count(name, field, n)
  local now = redis.pcall('HINCRBY', EXPERIMENT .. name, field, n)
  if type(now) == 'number' then return now end
  redis.pcall('HSET', EXPERIMENT .. name, field, math.max(n, 0))
  return math.max(n, 0)
end

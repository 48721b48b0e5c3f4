-- Takes ids out of the middle of a long list.
-- Lists stand in the order of `stands_at`, unless RQ's own clients wrote to them: the place of an id is found by halving,
-- blanked, and the blanks of one script are taken out together. LREM for each would hold Redis 15 ms at a million (measured).
local SEARCH = 1000
local blanks = {}

-- The place of an id in a list; nil and the place where it belongs when it is not there. `at`: where it stands.
local function halve(key, id, at, known)
  local low, high = 0, redis.call('LLEN', key) - 1
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local other = redis.call('LINDEX', key, middle)
    if other == id then return middle end
    if (known[middle] or stands_at(other) or 0) < at then low = middle + 1 else high = middle - 1 end
  end
  return nil, low
end

-- Puts an id that is in no list into its place; returns how many places Redis looked at, which is what it costs.
local function insert(queue, id, at)
  local key = RQ_QUEUE .. queue
  local head = redis.call('LINDEX', key, 0)
  local _, belongs = false, 0 -- who puts back many begins with the last of them
  if head and (stands_at(head) or 0) <= at then _, belongs = halve(key, id, at, {}) end
  local next_one = redis.call('LINDEX', key, belongs)
  if belongs == 0 then redis.call('LPUSH', key, id)
  elseif not next_one then redis.call('RPUSH', key, id)
  else redis.call('LINSERT', key, 'BEFORE', next_one, id) return belongs end
  return 0
end

local function unlist(queue, id, at)
  local key = RQ_QUEUE .. queue
  if redis.call('LLEN', key) <= SEARCH then
    redis.call('LREM', key, 1, id)
    return
  end
  local b = blanks[key] or {n = 0, known = {}}
  blanks[key] = b
  local place = b.last and redis.call('LINDEX', key, b.last + 1) == id and b.last + 1
    or halve(key, id, at, b.known) or redis.call('LPOS', key, id)
  if not place then return end
  redis.call('LSET', key, place, '')
  b.n, b.last, b.known[place] = b.n + 1, place, at
end

local function drop_blanks()
  for key, b in pairs(blanks) do
    if b.n > 0 then
      local nearer_end = b.last * 2 > redis.call('LLEN', key) and -1 or 1
      redis.call('LREM', key, nearer_end * b.n, '')
    end
  end
  blanks = {}
end

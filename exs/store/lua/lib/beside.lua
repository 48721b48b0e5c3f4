-- The order of the jobs inside an experiment, over all its queues: each stands at its index, and one that was moved between two
-- others at a fraction between theirs. Where there is no room left, those around get places anew.
local FINEST = 0.001 -- that renumbering leaves: ten more can go between
local STEP = 0.000001 -- of `set_place`

-- What waits near a place, in order: {id, at}, without one job; and the bounds between which it is all that waits.
local function around(name, at, reach, without)
  local row = {}
  local low, high = -math.huge, math.huge
  for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do
    local key = RQ_QUEUE .. queue
    local _, belongs = halve(key, '', at, {})
    local first = math.max(belongs - reach, 0)
    local ids = redis.call('LRANGE', key, first, belongs + reach)
    for i, id in ipairs(ids) do
      local place = stands_at(id)
      if place and id ~= without then row[#row + 1] = {id = id, at = place, nth = number_of(queue) * 2 ^ 32 + first + i} end
      if place and i == 1 and first > 0 then low = math.max(low, place) end
      if place and i == #ids and i > belongs + reach - first then high = math.min(high, place) end
    end
  end
  table.sort(row, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.nth < b.nth
  end)
  local inside = {}
  for _, one in ipairs(row) do
    if one.at > low and one.at < high then inside[#inside + 1] = one end
  end
  return inside, low, high
end

-- Spreads those around an anchor evenly, and it with them.
local function renumber(anchor, without)
  local reach = 4
  while true do
    local row, low, high = around(anchor.exp, anchor.po, reach, without)
    if anchor.st ~= 'QUEUED' then
      local nth = 1
      while row[nth] and row[nth].at <= anchor.po do nth = nth + 1 end
      table.insert(row, nth, {id = anchor.id, at = anchor.po})
    end
    if low == -math.huge then low = math.floor(row[1].at) - #row - 1 end
    if high == math.huge then high = number(redis.call('HGET', EXPERIMENT .. anchor.exp, 'next')) end
    local step = (high - low) / (#row + 1)
    if step >= FINEST then
      for i, one in ipairs(row) do set_place(one.id, low + i * step) end
      return
    end
    reach = reach * 4
  end
end

-- The places between which what is put next to an anchor belongs, and whether others stand exactly there.
local function gap(anchor, at, side, without)
  local row, low, high = around(anchor.exp, at, 2, without)
  local tied = false
  if low == -math.huge then low = math.floor(math.min(at, (row[1] or {at = at}).at)) - 2 end
  if high == math.huge then high = number(redis.call('HGET', EXPERIMENT .. anchor.exp, 'next')) end
  for _, one in ipairs(row) do
    tied = tied or one.at == at and one.id ~= anchor.id
    if one.at < at then low = math.max(low, one.at) elseif one.at > at then high = math.min(high, one.at) end
  end
  if side == 'ahead' then return low, at, tied end
  return at, math.max(high, at), tied
end

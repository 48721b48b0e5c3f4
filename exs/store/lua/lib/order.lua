-- Moving experiments in the order of a pool (see positions.lua).
-- What renumbering leaves between two at least.
local ROOM = 64

-- What stands next to a score in its lane, beyond which nothing may be put: the end of the lane, or where the next push goes.
local function one_below(pool, score)
  local found = redis.call('ZREVRANGEBYSCORE', ORDER .. pool, string.format('(%.0f', score), string.format('(%.0f', lane_of(score)),
    'WITHSCORES', 'LIMIT', 0, 1)
  return found[2] and tonumber(found[2]) or lane_of(score), found[1]
end
local function one_above(pool, score)
  local top = lane_of(score) + number(redis.call('GET', POSITION)) + GAP
  local found = redis.call('ZRANGEBYSCORE', ORDER .. pool, string.format('(%.0f', score), string.format('(%.0f', lane_of(score) + LANE),
    'WITHSCORES', 'LIMIT', 0, 1)
  return found[2] and tonumber(found[2]) or math.max(top, score + 1), found[1]
end

-- Makes room around one: spreads its nearest neighbours evenly over the space that they have, twice as many each time until
-- there is enough; the whole lane gets new space.
local function make_room(pool, name)
  local key = ORDER .. pool
  local lane = lane_of(tonumber(redis.call('ZSCORE', key, name)))
  local rank = redis.call('ZRANK', key, name)
  local reach = 8
  while true do
    local names, first, last = {}, nil, nil
    local found = redis.call('ZRANGE', key, math.max(rank - reach, 0), rank + reach, 'WITHSCORES')
    for i = 1, #found, 2 do
      local score = tonumber(found[i + 1])
      if lane_of(score) == lane then
        names[#names + 1] = found[i]
        first, last = first or score, score
      end
    end
    local low, under = one_below(pool, first)
    local high, over = one_above(pool, last)
    local whole_lane = not under and not over
    if whole_lane and high - low < (#names + 1) * ROOM then
      high, low = lane + next_position(#names + 1) + GAP, lane
    end
    local step = math.floor((high - low) / (#names + 1))
    if step >= ROOM or whole_lane then
      for i, one in ipairs(names) do stand_at(pool, one, low + i * step) end
      return
    end
    reach = reach * 2
  end
end

-- Puts an experiment next to another of its pool, `side` is ahead or behind, with the other's priority. False when it stands
-- there already.
local function put_beside(pool, name, anchor, side)
  local key = ORDER .. pool
  local neighbour = side == 'ahead' and one_below or one_above
  local at = tonumber(redis.call('ZSCORE', key, anchor))
  local _, beside = neighbour(pool, at)
  if name == anchor or beside == name then return false end
  redis.call('ZREM', key, name)
  local other = neighbour(pool, at)
  if math.abs(at - other) < 2 then
    make_room(pool, anchor)
    at = tonumber(redis.call('ZSCORE', key, anchor))
    other = neighbour(pool, at)
  end
  stand_at(pool, name, math.floor((at + other) / 2))
  return true
end

-- Gives an experiment a priority, or a place in another pool; among those of its priority it stands by its position.
local function put_among(pool, name, score)
  local taken = redis.call('ZRANGEBYSCORE', ORDER .. pool, string.format('%.0f', score), string.format('%.0f', score), 'LIMIT', 0, 2)
  for _, other in ipairs(taken) do
    if other ~= name then return put_beside(pool, name, other, 'behind') end
  end
  stand_at(pool, name, score)
end

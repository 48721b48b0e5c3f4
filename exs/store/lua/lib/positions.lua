-- The order of the experiments of a pool: exs:order:<pool>, scored priority * 2^38 + position. Positions are whole numbers in
-- the order of the pushes, GAP apart, so that there is room to move one between two others; scores stay below 2^45, exact in
-- a double, also when exs:ready multiplies them by 128. A script that moves some ends with `sync_all(moved)`.
local GAP = 4096
local LANE = 2 ^ 38
local moved = {}

local function stand_at(pool, name, score)
  redis.call('ZADD', ORDER .. pool, string.format('%.0f', score), name)
  moved[name] = true
end

local function lane_of(score) return math.floor(score / LANE) * LANE end

-- Gives all experiments new positions in the order that they have: 2^26 pushes have used up the numbers.
local function compact()
  local pools, all = {}, {}
  for _, name in ipairs(redis.call('ZRANGE', EXPERIMENTS, 0, -1)) do
    local pool = redis.pcall('HGET', EXPERIMENT .. name, 'pool')
    if type(pool) == 'string' then pools[pool] = true end
  end
  for pool in pairs(pools) do
    local names = redis.call('ZRANGE', ORDER .. pool, 0, -1, 'WITHSCORES')
    for i = 1, #names, 2 do
      local score = tonumber(names[i + 1])
      all[#all + 1] = {pool = pool, name = names[i], lane = lane_of(score), position = score % LANE}
    end
  end
  table.sort(all, function(a, b)
    if a.position ~= b.position then return a.position < b.position end
    return a.pool .. ' ' .. a.name < b.pool .. ' ' .. b.name
  end)
  for i, one in ipairs(all) do stand_at(one.pool, one.name, one.lane + i * GAP) end
  redis.call('SET', POSITION, string.format('%.0f', #all * GAP))
end

-- The position behind all that were given out.
local function next_position(steps)
  local last = redis.call('GET', POSITION)
  if last and not whole(last) or number(last) + GAP * (steps or 1) >= LANE - GAP then compact() end
  return redis.call('INCRBY', POSITION, GAP * (steps or 1))
end

-- Behind all of its priority: a push.
local function put_last(pool, name, priority) stand_at(pool, name, priority * LANE + next_position()) end

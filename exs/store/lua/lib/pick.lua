-- Where a slot takes its next job from: {pool, shape, queue, score}, nil when no ready queue fits it.
-- The lowest score wins; within one experiment the lowest index.
local function index_of(id)
  local ix = redis.pcall('HGET', RQ_JOB .. id, 'ix')
  return type(ix) == 'string' and whole(ix)
end

local function head_index(queue)
  local id = redis.pcall('LINDEX', RQ_QUEUE .. queue, 0)
  return type(id) == 'string' and index_of(id) or 0
end

local function better(a, b)
  if not b or math.floor(a.score / 128) ~= math.floor(b.score / 128) then return not b or a.score < b.score end
  return head_index(a.queue) < head_index(b.queue)
end

-- `only`: an experiment, '' for any. Its queues are asked for one by one, so that others' cost it nothing.
local function pick(pools, devices, memory, only)
  local found
  local function offer(pool, shape, queue, score)
    local one = score and {pool = pool, shape = shape, queue = queue, score = tonumber(score)}
    if one and better(one, found) then found = one end
  end
  local mine = only ~= '' and redis.pcall('HGETALL', QUEUES .. only)
  for pool in string.gmatch(pools, '[^,]+') do
    for i = 1, mine and #mine or 0, 2 do
      local queue, shape = mine[i], mine[i + 1]
      if fits(shape, devices, memory) then offer(pool, shape, queue, redis.call('ZSCORE', READY .. pool .. ':' .. shape, queue)) end
    end
    for _, shape in ipairs(mine and {} or redis.call('SMEMBERS', SHAPES .. pool)) do
      if fits(shape, devices, memory) then
        local head = redis.call('ZRANGE', READY .. pool .. ':' .. shape, 0, 0, 'WITHSCORES')
        offer(pool, shape, head[1], head[2])
      end
    end
  end
  return found
end

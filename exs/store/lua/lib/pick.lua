-- Where a slot takes its next job from: {pool, shape, queue, score}, nil when no ready queue fits it.
-- The lowest score wins; within one experiment the job that stands first.
local function head_place(queue)
  local id = redis.pcall('LINDEX', RQ_QUEUE .. queue, 0)
  return type(id) == 'string' and stands_at(id) or 0
end

-- Scores of a fair-share pool and of another one say nothing of each other: the pool that the slot names first goes first.
local function better(a, b)
  if not b then return true end
  local fair = math.min(a.score, b.score) < FAIR
  if fair and a.pool ~= b.pool then return false end
  local same
  if fair then same = experiment_of(a.queue) == experiment_of(b.queue)
  else same = math.floor(a.score / 128) == math.floor(b.score / 128) end
  if same then
    local first, second = head_place(a.queue), head_place(b.queue)
    return first < second or first == second and number_of(a.queue) < number_of(b.queue)
  end
  return a.score < b.score
end

-- Where a queue of `name` may stand ready for a slot of these pools: pairs of pool and shape.
local function spots(name, pools, shape)
  local found = {}
  if string.find(shape, '|pool=', 1, true) then
    for _, there in ipairs(shape_in_pools(redis.call('HGET', EXPERIMENT .. name, 'pool') or '', shape)) do
      if in_list(pools, there[1]) then found[#found + 1] = there end
    end
  else
    for pool in string.gmatch(pools, '[^,]+') do found[#found + 1] = {pool, shape} end
  end
  return found
end

-- `me`: the slot that asks, `me.left`: seconds after which it ends, nil for never. `me.only`: an experiment, '' for any. Its queues
-- are asked for one by one, so that others' cost it nothing.
-- Second: the heads of the queues whose jobs want several slots of which this may be one; third: {pool, shape, queue} of those
-- that want another slot. nil for none.
local function pick(me)
  local pools, devices, memory, node, only = me.pools, me.devices, me.memory, me.node, me.only
  local found, gangs, others
  local function look(pool, shape, queue)
    local k
    if not fits(shape, devices, memory, node) then
      k = part_of(shape, devices, memory, node)
      if not k then
        others = others or {}
        others[#others + 1] = {pool = pool, shape = shape, queue = queue}
        return
      end
    end
    local key, score = READY .. pool .. ':' .. shape, nil
    if queue then
      score = redis.call('ZSCORE', key, queue)
      if score and me.left and outlasts(queue, me) then score = nil end
    elseif me.left then
      queue, score = first_to_finish(key, me)
    else
      local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
      queue, score = head[1], head[2]
    end
    local one = score and {pool = pool, shape = shape, queue = queue, score = tonumber(score), k = k}
    if one and k then
      gangs = gangs or {}
      gangs[#gangs + 1] = one
    elseif one and better(one, found) then
      found = one
    end
  end
  local mine = only ~= '' and redis.pcall('HGETALL', QUEUES .. only)
  for i = 1, mine and #mine or 0, 2 do
    for _, there in ipairs(spots(only, pools, mine[i + 1])) do look(there[1], there[2], mine[i]) end
  end
  for pool in string.gmatch(mine and '' or pools, '[^,]+') do
    for _, shape in ipairs(redis.call('SMEMBERS', SHAPES .. pool)) do look(pool, shape) end
  end
  return found, gangs, others
end

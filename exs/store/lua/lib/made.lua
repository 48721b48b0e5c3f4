-- Making a change that was planned: `made`.
-- The first experiment of a pool that is not over; the first of all if that is further down than is looked.
local LOOKED = 1000
local function first_of(pool)
  local names = redis.call('ZRANGE', ORDER .. pool, 0, LOOKED - 1)
  for _, name in ipairs(names) do
    if unfinished(name) then return name end
  end
  return names[1]
end

-- Each of these makes one change and returns how it was before, how it is after, and what is to be told of it.
local function change_priority(change, pool)
  local name = change.name
  local before = redis.call('HGET', EXPERIMENT .. name, 'priority')
  local score = tonumber(redis.call('ZSCORE', ORDER .. pool, name) or 1)
  redis.call('HSET', EXPERIMENT .. name, 'priority', change.value)
  if lane_of(score) ~= change.value * LANE then put_among(pool, name, change.value * LANE + score % LANE) end
  return before, change.value
end

local function change_weight(change)
  local before = redis.call('HGET', EXPERIMENT .. change.name, 'weight')
  redis.call('HSET', EXPERIMENT .. change.name, 'weight', change.value)
  moved[change.name] = true
  return before or '1', change.value
end

-- What runs goes on where it is; what waits is claimed in the new pool.
local function change_pool(change, pool)
  local name, to = change.name, change.value
  if to == pool then return pool, pool end
  local queues = redis.call('HGETALL', QUEUES .. name)
  for i = 1, #queues, 2 do unset_ready(pool, queues[i + 1], queues[i]) end
  local score = tonumber(redis.call('ZSCORE', ORDER .. pool, name) or 1)
  redis.call('ZREM', ORDER .. pool, name)
  redis.call('HSETNX', EXPERIMENT .. name, 'pushed_pool', pool)
  redis.call('HSET', EXPERIMENT .. name, 'pool', to)
  put_among(to, name, score)
  local running = redis.call('HGET', EXPERIMENT .. name, 'running')
  return pool, to, {'running', running or '0', 'workers', redis.call('SCARD', RQ_WORKERS .. ':' .. to)}
end

local function change_slots(change)
  local key = EXPERIMENT .. change.name
  local before = redis.call('HGET', key, 'max')
  local after = change.slots and tostring(math.floor(change.value / change.slots))
  redis.call('HSETNX', key, 'pushed_max', before or '')
  if after then redis.call('HSET', key, 'max', after) else redis.call('HDEL', key, 'max') end
  moved[change.name] = true
  return before or '', after or ''
end

local function change_place(change, pool)
  local anchor = change.anchor or first_of(pool)
  local e = redis.call('HMGET', EXPERIMENT .. change.name, 'priority')
  local after = anchor and redis.call('HGET', EXPERIMENT .. anchor, 'priority') or e[1]
  local is_moved = anchor and put_beside(pool, change.name, anchor, PLACES[change.operation])
  if is_moved then redis.call('HSET', EXPERIMENT .. change.name, 'priority', after) end
  return e[1], is_moved and after or e[1], {'beside', anchor or change.name, 'moved', is_moved and '1' or ''}
end

local CHANGES = {['priority'] = change_priority, ['weight'] = change_weight, ['resource-pool'] = change_pool,
  ['max-slots'] = change_slots, ['ahead-of'] = change_place, ['behind-of'] = change_place, ['to-top'] = change_place}

-- Read again: a change before this one may have moved them.
local function made_of_job(change)
  local job = load(change.job.id)
  local anchor = change.anchor and load(change.anchor.id)
  local is_moved = move_job(job, anchor, PLACES[change.operation])
  return {change.job.label, change.operation, '', '', 'pool', '', 'over', '', 'scheduler', '', 'job', job.ra and 'LATER' or job.st,
    'beside', anchor and change.anchor.label or '', 'moved', is_moved and '1' or '',
    'first', (not anchor or first_then(anchor)) and '1' or ''}
end

-- {subject, operation, before, after, note, its value, ...}
local function made(change)
  if change.job then return made_of_job(change) end
  local pool = redis.call('HGET', EXPERIMENT .. change.name, 'pool') or ''
  local before, after, notes = CHANGES[change.operation](change, pool)
  return {change.name, change.operation, before or '', after or '', 'pool', pool, 'over', unfinished(change.name) and '' or '1',
    'scheduler', redis.call('HGET', POOL .. pool, 'scheduler') or '', unpack(notes or {})}
end

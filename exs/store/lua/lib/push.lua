-- The parts of a push: may it go on, where do its jobs go, and the commit.

-- nil, or the answer that refuses it. `digest` tells the same push repeated from another one.
local function refuse(m, now)
  local schema = redis.call('GET', SCHEMA)
  if schema and schema ~= SCHEMA_VERSION then return {'schema', schema} end
  if not schema then redis.call('SET', SCHEMA, SCHEMA_VERSION) end
  local e = redis.call('HMGET', EXPERIMENT .. m.name, 'user', 'source', 'kind', 'archived')
  if e[1] then
    if e[3] ~= m.kind then return {'kind', e[3]} end
    if e[4] == '1' then return {'archived'} end
    if not m.into and (e[1] ~= m.user or e[2] ~= m.source) then return {'taken', e[1], e[2]} end
  end
  local s = redis.call('HMGET', STAGE .. m.name, 'push', 'digest', 'at')
  if s[1] and s[1] ~= m.push then
    if not m.first then return {'lost'} end
    local left = m.lock - (now - tonumber(s[3]))
    if left > 0 then return {'busy', left} end
    if s[2] ~= m.digest then return {'stale'} end
    redis.call('HSET', STAGE .. m.name, 'push', m.push, 'at', now)
  elseif not s[1] and not m.first then
    return {'lost'}
  end
end

-- A place: where the next jobs go. queue_shape: QUEUE -> shape, shape_queue: the reverse, made: queues to publish.
local function fresh_place(name, e, staged)
  local place = {base = tonumber(e[1] or 0), count = 0, staged = staged, queues = tonumber(e[2] or 0),
    queue_shape = {}, shape_queue = {}, made = {}}
  local segments = tonumber(e[3] or 0)
  place.segment = math.max(segments, 1)
  if staged or segments == 0 then
    place.segment = segments + 1
    place.new_segment = true
  end
  if not staged then
    local known = redis.call('HGETALL', QUEUES .. name)
    for i = 1, #known, 2 do
      local best = place.shape_queue[known[i + 1]]
      if not best or number_of(best) < number_of(known[i]) then place.shape_queue[known[i + 1]] = known[i] end
    end
  end
  return place
end

local function staged_place(name)
  local place = {staged = true, new_segment = true, queue_shape = {}, shape_queue = {}, made = {}}
  local f = redis.call('HGETALL', STAGE .. name)
  for i = 1, #f, 2 do
    local queue = string.match(f[i], '^q:(.+)$')
    if queue then
      place.queue_shape[queue] = f[i + 1]
      place.shape_queue[f[i + 1]] = queue
      place.made[#place.made + 1] = queue
    elseif f[i] == 'base' or f[i] == 'count' or f[i] == 'segment' or f[i] == 'queues' then
      place[f[i]] = tonumber(f[i + 1])
    end
  end
  return place
end

local function queue_for(place, name, shape)
  local queue = place.shape_queue[shape]
  if not queue then
    place.queues = place.queues + 1
    queue = place.queues == 1 and name or name .. '~' .. place.queues
    place.shape_queue[shape] = queue
    place.queue_shape[queue] = shape
    place.made[#place.made + 1] = queue
  end
  return queue
end

local function save_stage(m, place, now)
  local f = {'push', m.push, 'digest', m.digest, 'at', now, 'base', place.base, 'count', place.count,
    'segment', place.segment, 'queues', place.queues}
  for _, queue in ipairs(place.made) do
    f[#f + 1] = 'q:' .. queue
    f[#f + 1] = place.queue_shape[queue]
  end
  redis.call('HSET', STAGE .. m.name, unpack(f))
  redis.call('ZADD', STAGES, now, m.name)
end

local function create(m, now)
  redis.call('HSET', EXPERIMENT .. m.name, 'id', m.id8, 'user', m.user, 'host', m.host, 'source', m.source, 'kind', m.kind,
    'pool', m.pool, 'priority', m.priority, 'pushed_priority', m.priority, 'created', now, 'jobs', 0, 'running', 0, 'waiting', 0)
  redis.call('HSET', IDS, m.id8, m.name)
  redis.call('ZADD', EXPERIMENTS, now, m.name)
end

-- Makes everything of the push visible and claimable at once.
local function commit(m, place, now)
  local key = EXPERIMENT .. m.name
  local new = redis.call('EXISTS', key) == 0
  if new then create(m, now) end
  if new or redis.call('HGET', key, 'pushed_priority') ~= tostring(m.priority) then
    redis.call('HSET', key, 'priority', m.priority, 'pushed_priority', m.priority)
    local pool = redis.call('HGET', key, 'pool')
    redis.call('ZADD', ORDER .. pool, string.format('%.0f', m.priority * 2 ^ 38 + redis.call('INCR', POSITION)), m.name)
  end
  redis.call('HSET', key, 'retries', m.retries, 'next', place.base + place.count, 'queues', place.queues)
  for _, name in ipairs({'max', 'lost'}) do
    if m[name] then redis.call('HSET', key, name, m[name]) else redis.call('HDEL', key, name) end
  end
  if place.count > 0 then
    redis.call('HINCRBY', key, 'jobs', place.count)
    redis.call('HSET', SPECS .. m.name, m.spec_digest, m.spec)
    if place.new_segment then redis.call('HSET', key, 's:' .. place.segment, place.base, 'segments', place.segment) end
  end
  for _, queue in ipairs(place.made) do
    redis.call('HSET', QUEUES .. m.name, queue, place.queue_shape[queue])
    redis.call('SADD', RQ_QUEUES, RQ_QUEUE .. queue)
  end
  redis.call('DEL', STAGE .. m.name)
  redis.call('ZREM', STAGES, m.name)
  redis.call('SET', LAST, m.name)
  sync(m.name)
end

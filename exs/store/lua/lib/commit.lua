-- Makes everything of a push visible and claimable at once.
local function create(m, now)
  redis.call('HSET', EXPERIMENT .. m.name, 'id', m.id8, 'user', m.user, 'host', m.host, 'source', m.source, 'kind', m.kind,
    'pool', m.pool, 'priority', m.priority, 'pushed_priority', m.priority, 'created', now, 'jobs', 0, 'running', 0, 'waiting', 0)
  redis.call('HSET', IDS, m.id8, m.name)
  redis.call('ZADD', EXPERIMENTS, now, m.name)
end

-- Another pool, or another priority than the last push said, moves the experiment; what `update` set meanwhile stays.
-- A file pushed into another's experiment does not move it.
local function arrange(m, key, new)
  local e = redis.call('HMGET', key, 'pool', 'pushed_priority', 'pushed_pool')
  if not new and (m.into or (e[3] or e[1]) == m.pool and e[2] == tostring(m.priority)) then return end
  local queues = redis.call('HGETALL', QUEUES .. m.name)
  for i = 1, #queues, 2 do unset_ready(e[1], queues[i + 1], queues[i]) end
  redis.call('ZREM', ORDER .. e[1], m.name)
  redis.call('HSET', key, 'pool', m.pool, 'priority', m.priority, 'pushed_priority', m.priority)
  redis.call('HDEL', key, 'pushed_pool')
  put_last(m.pool, m.name, m.priority)
end

-- How many may run at once: what `update` set stays until a push says something else than the last one did.
local function limit_running(m, key)
  local pushed = redis.call('HGET', key, 'pushed_max')
  if pushed and pushed == tostring(m.max or '') then return end
  redis.call('HDEL', key, 'pushed_max')
  if m.max then redis.call('HSET', key, 'max', m.max) else redis.call('HDEL', key, 'max') end
end

-- What `update` set meanwhile stays until a push says another weight than the last one did.
local function weigh(m, key)
  if not m.weight or redis.call('HGET', key, 'pushed_weight') == m.weight then return end
  redis.call('HSET', key, 'weight', m.weight, 'pushed_weight', m.weight)
end

-- Counts the jobs of a place, and lets everybody see its queues.
local function publish(name, place)
  local key = EXPERIMENT .. name
  redis.call('HSET', key, 'next', place.base + place.count, 'queues', place.queues)
  if place.count > 0 then
    count(name, 'jobs', place.count)
    if place.new_segment then redis.call('HSET', key, 's:' .. place.segment, place.base, 'segments', place.segment) end
  end
  for _, queue in ipairs(place.made) do
    redis.call('HSET', QUEUES .. name, queue, place.queue_shape[queue])
    redis.call('SADD', RQ_QUEUES, RQ_QUEUE .. queue)
  end
end

local function commit(m, place, now)
  local key = EXPERIMENT .. m.name
  local new = redis.call('EXISTS', key) == 0
  if new then create(m, now) end
  if new or not m.add then
    arrange(m, key, new)
    limit_running(m, key)
    redis.call('HSET', key, 'retries', m.retries)
    weigh(m, key)
    for _, name in ipairs({'lost', 'preemptible', 'breaker', 'on_lost', 'on_gpu', 'on_poison'}) do
      if m[name] then redis.call('HSET', key, name, m[name]) else redis.call('HDEL', key, name) end
    end
  end
  -- What was pushed may be new code: it has its canary though other jobs are done.
  local runs = place.count > 0 or place.again
  if m.canary and runs then redis.call('HSET', key, 'canary', m.canary)
  elseif not m.canary and not m.add then redis.call('HDEL', key, 'canary') end
  if runs then
    redis.call('HSET', SPECS .. m.name, m.spec_digest, m.spec)
    if m.code then redis.call('HSET', CODES .. m.name, m.spec_digest, m.code) end
    redis.call('HSET', key, 'spec', m.spec_digest)
  end
  if m.paused then redis.call('HSET', key, 'paused', 1, 'paused_by', m.paused, 'paused_at', now) end
  publish(m.name, place)
  redis.call('DEL', STAGE .. m.name)
  redis.call('ZREM', STAGES, m.name)
  redis.call('SET', LAST, m.name)
  moved[m.name] = true
  sync_all(moved)
end

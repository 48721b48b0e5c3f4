-- The parts of a push: may it go on, and where do its jobs go.

-- nil, or the answer that refuses it. A stage whose push says nothing any more is discarded, not continued: the file
-- may have been edited since, and what it no longer holds must not be queued.
local function refuse(m, now)
  -- Who may not push, and who must not because memory is full, is refused here, before anything is written.
  redis.call('ZADD', SPECS, 'XX', 0, '')
  redis.call('SETNX', SCHEMA, SCHEMA_VERSION)
  local e = redis.call('HMGET', EXPERIMENT .. m.name, 'user', 'source', 'kind', 'archived')
  if e[1] then
    if e[3] ~= m.kind then return {'kind', e[3]} end
    if e[4] == '1' then return {'archived'} end
    if not m.into and (e[1] ~= m.user or e[2] ~= m.source) then return {'taken', e[1], e[2]} end
  end
  local s = redis.call('HMGET', STAGE .. m.name, 'push', 'at', 'batch')
  if s[1] and s[1] ~= m.push then
    if not m.first then return {'lost'} end
    local left = m.lock - (now - number(s[2]))
    return left > 0 and {'busy', left} or {'stale'}
  elseif not m.first and number(s[3]) ~= m.batch then -- it is gone, or has a hole: the last batch must not commit it
    return {'lost'}
  end
end

-- A place: where the next jobs go. queue_shape: QUEUE -> shape, shape_queue: the reverse, made: queues to publish.
local function fresh_place(name, e, staged)
  local place = {base = number(e[1]), count = 0, staged = staged, queues = number(e[2]),
    queue_shape = {}, shape_queue = {}, made = {}}
  local segments = number(e[3])
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
    elseif f[i] == 'again' then
      place.again = true
    elseif f[i] == 'base' or f[i] == 'count' or f[i] == 'segment' or f[i] == 'queues' then
      place[f[i]] = number(f[i + 1])
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
  local f = {'push', m.push, 'at', now, 'batch', m.batch + 1, 'base', place.base, 'count', place.count,
    'segment', place.segment, 'queues', place.queues}
  if place.again then f[#f + 1] = 'again' f[#f + 1] = 1 end
  for _, queue in ipairs(place.made) do
    f[#f + 1] = 'q:' .. queue
    f[#f + 1] = place.queue_shape[queue]
  end
  redis.call('HSET', STAGE .. m.name, unpack(f))
  redis.call('ZADD', STAGES, now, m.name)
end

-- What is to be changed of what the queue goes by, and whether it can be: `planned`.
-- What is planned so far: NAME -> the pool in which it will stand.
local pool_to_be = {}

-- The name of the experiment that a word means.
local function named(word)
  local name = word == 'last' and redis.call('GET', LAST) or word
  if redis.call('EXISTS', EXPERIMENT .. name) == 0 then name = redis.call('HGET', IDS, name) end
  return name and redis.call('EXISTS', EXPERIMENT .. name) == 1 and name or nil
end

-- The job that a word means, and what it is called: NAME/INDEX.
local function job_named(word)
  local name, index = string.match(word, '^(.+)/(%d+)$')
  local id = not name and word
  name, index = name and named(name), index and whole(index)
  for _, segment in ipairs(name and index and segments_of(name) or {}) do
    if index >= segment.base then id = redis.call('LINDEX', segment.key, index - segment.base) or id end
  end
  local job = id and id ~= '' and load(id)
  if not job or not committed(job) or job.st == 'BROKEN' then return nil end
  job.label = job.exp .. '/' .. string.format('%.0f', job.ix)
  return job
end

local function pool_of(name) return pool_to_be[name] or redis.call('HGET', EXPERIMENT .. name, 'pool') or '' end

local function fair(pool) return redis.call('HGET', POOL .. pool, 'scheduler') == 'fair_share' end

-- Slots that each of its jobs takes at most: as many as it wants GPUs, and one at least.
local function slots_per_job(name)
  local most = 1
  for _, shape in ipairs(redis.call('HVALS', QUEUES .. name)) do most = math.max(most, slots_of(shape)) end
  return most
end

local PLACES = {['ahead-of'] = 'ahead', ['behind-of'] = 'behind', ['to-top'] = 'ahead'}

local function planned_job(job, operation, value)
  if not PLACES[operation] then return nil, {'whole', job.label, job.exp} end
  local change = {job = job, operation = operation}
  if operation == 'to-top' then return change end
  change.anchor = not named(value) and job_named(value)
  if named(value) then return nil, {'kinds', value} end
  if not change.anchor then return nil, {'missing', value} end
  if change.anchor.exp ~= job.exp then return nil, {'apart', job.label, change.anchor.label} end
  return change
end

-- The change, or nil and what refuses it.
local function planned(word, operation, value)
  local name = named(word)
  local job = not name and job_named(word)
  if job then return planned_job(job, operation, value) end
  if not name then return nil, {'missing', word} end
  local change = {name = name, operation = operation, value = value}
  local pool = pool_of(name)
  if (PLACES[operation] or operation == 'resource-pool') and redis.call('HGET', EXPERIMENT .. name, 'kind') == 'pull' then
    return nil, {'pull', name}
  end
  if operation == 'resource-pool' then
    if redis.call('HGET', EXPERIMENT .. name, 'kind') == 'pull' then return nil, {'pull', name} end
    pool_to_be[name] = value
  elseif operation == 'max-slots' and value ~= '' then
    change.slots = slots_per_job(name)
    if change.slots > tonumber(value) then return nil, {'slots', name, change.slots} end
  elseif PLACES[operation] then
    if fair(pool) then return nil, {'scheduler', pool} end
    if operation ~= 'to-top' then
      change.anchor = named(value)
      if not change.anchor then return nil, {job_named(value) and 'kinds' or 'missing', value} end
      local other = pool_of(change.anchor)
      if other ~= pool then return nil, {'elsewhere', name, pool, change.anchor, other} end
    end
  end
  return change
end

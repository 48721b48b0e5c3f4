-- Whether RQ's registries still hold what we count. RQ's own clients move jobs without counting them, and score what they
-- register by a time, where ours have none: so a look costs a few counts per queue, however many jobs there are.
local REGISTRIES = {{RQ_WIP, 'running'}, {RQ_SCHEDULED, 'waiting'}, {RQ_FAILED, 'failed'}, {RQ_CANCELED, 'canceled'},
  {RQ_DEFERRED, 'deferred'}}

local function queues_of(name)
  local names = redis.pcall('HKEYS', QUEUES .. name)
  return names.err and {} or names
end

-- Running jobs of a queue whose hash somebody deleted, among a hundred: their counts still agree.
local HELD = 100
local function deleted(queue)
  local n = 0
  for _, member in ipairs(redis.call('ZRANDMEMBER', RQ_WIP .. queue, HELD)) do
    if redis.call('EXISTS', RQ_JOB .. string.match(member, '^[^:]*')) == 0 then n = n + 1 end
  end
  return n
end

-- {total, strange, running, waiting, ...} of the lists and registries of NAME; nil when one of them is no list or set.
local function standing(name)
  local found = {total = 0, strange = 0}
  local good = true
  local function many(...)
    local n = redis.pcall(...)
    good = good and type(n) == 'number'
    return good and n or 0
  end
  for _, queue in ipairs(queues_of(name)) do
    found.total = found.total + many('LLEN', RQ_QUEUE .. queue) + many('ZCARD', RQ_FINISHED .. queue)
    for _, registry in ipairs(REGISTRIES) do
      local n = many('ZCARD', registry[1] .. queue)
      found.total = found.total + n
      found[registry[2]] = (found[registry[2]] or 0) + n
    end
    found.strange = found.strange + many('ZCOUNT', RQ_WIP .. queue, '-inf', '(+inf') + many('ZCOUNT', RQ_FAILED .. queue, 0, '+inf')
      + many('LLEN', RQ_QUEUE .. queue .. RQ_INTERMEDIATE)
    if good then found.strange = found.strange + deleted(queue) end
  end
  return good and found or nil
end

-- Whether what stands there is other than what is counted, and by how much, as text. False when nothing can be said.
local function drift(name)
  local e = redis.pcall('HMGET', EXPERIMENT .. name, 'jobs', 'astray', 'pruned', 'running', 'waiting', 'failed', 'canceled', 'deferred')
  local found = not e.err and e[1] and standing(name)
  if not found then return false, '' end
  local off = {number(e[1]) - number(e[2]) - found.total, found.strange}
  for i, registry in ipairs(REGISTRIES) do off[i + 2] = number(e[i + 3]) - (found[registry[2]] or 0) end
  local text = table.concat(off, ' ')
  return string.find(text, '[1-9]') ~= nil, text .. ' ' .. number(e[3])
end

-- Takes what stands there as what is counted.
local function settle(name, pruned)
  local found = standing(name)
  local jobs = number(redis.call('HGET', EXPERIMENT .. name, 'jobs'))
  if not found then return end
  local f = {'astray', jobs - found.total, 'pruned', pruned}
  for _, registry in ipairs(REGISTRIES) do f[#f + 1] = registry[2] f[#f + 1] = found[registry[2]] or 0 end
  redis.call('HSET', EXPERIMENT .. name, unpack(f))
  sync(name)
end

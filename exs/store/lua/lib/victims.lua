--@ number share drain
-- The jobs of a pool that may be stopped for others: {id, at, st, slot, exp, order, devices, memory, node, mates and others: the
-- other slots that run it and their GPUs}, worst placed first, the latest of an experiment first. Experiments looked at, and jobs of one queue.
local EXPERIMENTS_SEEN, RUNNING_SEEN = 1000, 300

local function running_of(name, order)
  local found = {}
  for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do
    local members = redis.pcall('ZRANGE', RQ_WIP .. queue, 0, RUNNING_SEEN - 1)
    for _, member in ipairs(members.err and {} or members) do
      local id, attempt = string.match(member, '^([^:]*):(.*)$')
      local j = redis.pcall('HMGET', RQ_JOB .. (id or ''), 'at', 'ix', 'st', 'wn', 'worker_name', 'nd', 'sl', 'po')
      if not j.err and j[1] == attempt and j[3] == 'RUNNING' and not j[4] then
        found[#found + 1] = {id = id, at = attempt, st = j[3], slot = j[5] or '', exp = name, order = order, ix = decimal(j[8]) or number(j[2]),
          node = j[6] or '?', sl = j[7]}
      end
    end
  end
  table.sort(found, function(a, b)
    if a.ix ~= b.ix then return a.ix > b.ix end
    return a.id < b.id
  end)
  return found
end

-- Whether it would help: its slot lives and stays, is free to take others' jobs of the pool, and is not drained.
local function would_help(pool, one, now)
  local w = redis.pcall('HMGET', RQ_WORKER .. one.slot, 'exs_at', 'exs_memory', 'exs_only', 'queues', 'exs_gpus', 'exs_leaves')
  if w.err or w[1] ~= one.at or w[6] or (w[3] or '') ~= '' then return false end
  one.memory, one.devices, one.others, one.mates = w[2] or '0', w[5] or '', {}, {}
  local good, mates = pcall(cjson.decode, one.sl or '[]')
  for i, mate in ipairs(good and type(mates) == 'table' and mates or {}) do
    one.mates[i], one.others[i] = tostring(type(mate) == 'table' and mate[1] or ''), tostring(type(mate) == 'table' and mate[2] or '')
  end
  return string.find(',' .. (w[4] or '') .. ',', ',' .. pool .. ',', 1, true) ~= nil
    and number(redis.call('ZSCORE', LEASES, one.id)) >= now
    and not (redis.call('EXISTS', DRAINED) == 1 and drained(one.slot, one.node, now))
end

-- A list of those of experiments that stand behind `order`, of which `more` adds those of the next experiment; false at the end.
local function victims_behind(pool, order, now)
  local list, next_one = {}, 1
  local names = redis.call('ZREVRANGEBYSCORE', ORDER .. pool, '+inf', string.format('(%.0f', order), 'WITHSCORES', 'LIMIT', 0, EXPERIMENTS_SEEN)
  function list.more()
    while next_one < #names do
      local name, place = names[next_one], tonumber(names[next_one + 1])
      next_one = next_one + 2
      local e = redis.pcall('HMGET', EXPERIMENT .. name, 'running', 'preemptible')
      if not e.err and number(e[1]) > 0 and e[2] ~= '0' then
        for _, one in ipairs(running_of(name, place)) do
          if would_help(pool, one, now) then list[#list + 1] = one end
        end
        return true
      end
    end
    return false
  end
  return list
end

--@ shape drained
-- Which slots of a node may run a job together, see lib/gang.lua.
-- An idle slot is noted as heard at least so often, ms, however short the lease (lib/present.lua).
local HEARD = 30000

-- The slots of a node that have a GPU and were heard lately: {name, devices, memory, only, pools, idle, pid, lock}.
local function slots_with_gpus(me)
  local key, found = NODE_SLOTS .. me.node, {}
  redis.call('SADD', key, me.slot)
  redis.call('EXPIRE', key, NODE_SLOTS_TTL)
  for _, name in ipairs(redis.call('SMEMBERS', key)) do
    local w = redis.pcall('HMGET', RQ_WORKER .. name, 'exs_gpus', 'exs_memory', 'exs_only', 'queues', 'exs_boot', 'exs_at', 'exs_with',
      'last_heartbeat', 'pid', 'exs_locks', 'exs_offer')
    if name == me.slot then
      found[#found + 1] = {name = name, devices = me.devices, memory = me.memory, only = me.only, pools = me.pools, idle = true,
        lock = ''}
    elseif w.err or not w[1] then
      redis.call('SREM', key, name)
    elseif w[5] == me.boot and me.now - ms_of(w[8]) < math.max(2 * me.lease, HEARD) and not (me.drains and drained(name, me.node, me.now)) then
      found[#found + 1] = {name = name, devices = w[1], memory = w[2] or '0', only = w[3] or '', pools = w[4] or '',
        idle = not w[6] and not w[7], pid = w[9] or '0', lock = w[10], offer = w[11]}
    end
  end
  return found
end

-- Those of `slots` that may run g together with one of them: of the same experiment and pool, their devices named in the same way,
-- with a lock that is known.
local function able(slots, g, one_of_them, node)
  local by_index, team = string.find(one_of_them.devices, '^%d+$') ~= nil, {}
  for _, one in ipairs(slots) do
    if one.lock and in_list(one.pools, g.pool) and (one.only == '' or one.only == experiment_of(g.queue))
      and (string.find(one.devices, '^%d+$') ~= nil) == by_index and part_of(g.shape, one.devices, one.memory, node, g.k) then
      team[#team + 1] = one
    end
  end
  return team
end

-- One slot for each GPU among those of a team that `want` wants; `first` before all others.
local function one_per_gpu(team, first, want)
  local chosen, taken = {}, {}
  for _, mine in ipairs({true, false}) do
    for _, one in ipairs(team) do
      if (one.name == first) == mine and not taken[one.devices] and want(one) then
        taken[one.devices] = true
        chosen[#chosen + 1] = one
      end
    end
  end
  return chosen
end

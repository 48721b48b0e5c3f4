--@ shape victims
-- Room for a job of k slots of one node (lib/gang.lua): what would have to be stopped on each node that has victims.
-- The GPUs of idle slots of a node that could be a part of it.
local function idle_gpus(pool, want, k, node)
  local free = {n = 0}
  for _, slot in ipairs(redis.call('SMEMBERS', NODE_SLOTS .. node)) do
    local w = redis.pcall('HMGET', RQ_WORKER .. slot, 'exs_gpus', 'exs_memory', 'exs_only', 'queues', 'exs_at', 'exs_with')
    if not w.err and w[1] and not w[5] and not w[6] and (w[3] or '') == '' and in_list(w[4] or '', pool) and not free[w[1]]
      and part_of(want.shape, w[1], w[2] or '0', node, k) then
      free[w[1]], free.n = true, free.n + 1
    end
  end
  return free
end

-- Adds the GPUs of one slot that comes free, or of all slots of one victim; false when there are no new ones.
local function add_gpus(free, one)
  local before = free.n
  for _, device in ipairs({one.devices, unpack(one.others or {})}) do
    if not free[device] then free[device], free.n = true, free.n + 1 end
  end
  return free.n > before
end

-- {stop: the victims, worst placed first; uses: what comes free anyhow}, on the node where least has to be stopped, and of those
-- where it is placed worst; nil where no node has enough.
local function best_node(pool, want, k, victims, coming)
  local nodes, best = {}, nil
  local function part(one) return not one.taken and part_of(want.shape, one.devices, one.memory, one.node, k) end
  local function node_of(one)
    nodes[one.node] = nodes[one.node] or {free = idle_gpus(pool, want, k, one.node), stop = {}, uses = {}}
    return nodes[one.node]
  end
  for _, one in ipairs(coming) do
    if part(one) then
      local node = node_of(one)
      if node.free.n < k and add_gpus(node.free, one) then node.uses[#node.uses + 1] = one end
    end
  end
  while (not victims[1] or victims[#victims].order > want.order) and victims.more() do end
  for _, victim in ipairs(victims) do
    if victim.order > want.order and part(victim) then
      local node = node_of(victim)
      if node.free.n < k and add_gpus(node.free, victim) then
        node.stop[#node.stop + 1] = victim
        node.last = victim.order
      end
    end
  end
  for _, node in pairs(nodes) do
    if node.free.n >= k and (not best or #node.stop < #best.stop or #node.stop == #best.stop and (node.last or 0) > (best.last or 0)) then
      best = node
    end
  end
  return best
end

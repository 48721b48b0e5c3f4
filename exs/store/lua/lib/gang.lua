--@ shape ready pick team assembly
-- Jobs of k GPUs on slots of one GPU each: a gang of slots of one node.
--
-- Assembly. A slot that asks for work and finds, before anything else that it fits, a job of k GPUs that its node could run with
-- all its slots free, takes nothing and is held for that job: `s:SLOT` in the hash exs:hold:NODE, until a lease after it last
-- asked. The slot whose claim completes the set, k of different GPUs, leads: it takes the job, and its lease names the others
-- (`sl`). So what stands behind the job does not starve it, what stands before it passes, and slots that are of no use to it go
-- on working. One assembly per node at a time, that of the job which stands first: two that wait for each other's slots cannot
-- be. A queue of n jobs is assembled on n nodes at most, on those with the most slots to spare, since what is held stands idle; a
-- further node joins in for each PATIENCE that the oldest assembly is not complete, for that node's other jobs may run for days.
-- A node that has k idle slots now may always. What does not renew falls out: a slot that died, one that found better work.
-- exs:holding:QUEUE says which nodes hold slots for a queue; both keys live a few polls.
--
-- Running. The others, the mates, are busy in every list: `exs_with` is the attempt, `exs_lead` the slot that leads. A claim of
-- theirs is told so, and then `follow` asks until their leader does not run that attempt any more. Everything that ends the
-- attempt frees them. A mate that dies loses the job at once (slot_dead), as does the leader. While a leader may still have
-- processes to end, because the job was lost without its doing, its own record keeps the attempt, and the mates stay taken until
-- its next claim, or its death. What Redis does not know, after an outage, the GPUs' own locks do (gpulock.Loan).

-- By `better`, which is no order that table.sort would take where pools of different schedulers meet.
local function put_in_order(gangs)
  for i = 2, #gangs do
    local one, at = gangs[i], i
    while at > 1 and better(one, gangs[at - 1]) do
      gangs[at] = gangs[at - 1]
      at = at - 1
    end
    gangs[at] = one
  end
end

-- What a slot does about jobs of several slots, `gangs` being those of which it may run a part, `from` the best that it may run
-- alone: the one that it leads now, with its `mates`; or for which queue it is held; nil for neither.
local function gather(gangs, from, me)
  put_in_order(gangs)
  local slots, hold = slots_with_gpus(me), hold_of(me.node)
  for _, g in ipairs(gangs) do
    if from and not better(g, from) then return nil end
    local team = able(slots, g, me, me.node)
    local spare = one_per_gpu(team, me.slot, function(one) return one.idle end)
    if #one_per_gpu(team, me.slot, function() return true end) >= g.k and not goes_before(hold, g, me) and may_hold(g, spare, me) then
      local held = join(g, hold, spare, me)
      local set = one_per_gpu(team, me.slot, function(one) return one.idle and (held.slots[one.name] or 0) > me.now end)
      if #set < g.k then return nil, g.queue end
      g.mates = {unpack(set, 2, g.k)}
      return g
    end
  end
end

-- Makes the mates of a leader busy with its attempt; they hear of it at once. Returns what stands in the lease of the job, and
-- the names of all its devices in order.
local function engage(g, id, attempt, me)
  local devices, lease = {me.devices}, {}
  drop_hold(me.node, me.slot)
  for _, mate in ipairs(g.mates) do
    local worker = RQ_WORKER .. mate.name
    redis.call('HSET', worker, 'state', 'busy', 'current_job', id, 'exs_with', attempt, 'exs_lead', me.slot)
    redis.call('HDEL', worker, 'exs_hold')
    for pool in string.gmatch(mate.offer and mate.pools or '', '[^,]+') do redis.call('ZREM', IDLE .. pool .. ':' .. mate.offer, mate.name) end
    devices[#devices + 1] = mate.devices
    lease[#lease + 1] = {mate.name, mate.devices, mate.lock, tonumber(mate.pid) or 0}
  end
  table.sort(devices, function(a, b)
    local x, y = tonumber(a), tonumber(b)
    if x and y then return x < y end
    return a < b
  end)
  return cjson.encode(lease), table.concat(devices, ',')
end

-- This slot is held no longer.
local function leave_hold(me)
  redis.call('HDEL', RQ_WORKER .. me.slot, 'exs_hold')
  let_go(me.node, me.slot)
end

-- What a mate's record says: its leader still runs the attempt that took it: {attempt, leader, job}. Else nil, and it is free.
local function followed(slot, attempt, leader, job)
  if not attempt then return nil end
  if leader and redis.pcall('HGET', RQ_WORKER .. leader, 'exs_at') == attempt then return {attempt, leader, job or ''} end
  redis.call('HDEL', RQ_WORKER .. slot, 'exs_with', 'exs_lead', 'current_job')
  redis.call('HSET', RQ_WORKER .. slot, 'state', 'idle')
end

-- What a claim says of the slot that asks. me: {slot, node, boot, devices, memory, only, pools, now, lease}.
-- The slot lives; one that ends many jobs in ten seconds says so once. One that RQ's registration forgot is listed by what
-- it offers, until its next renewal makes it register anew. `queues` and `heard`: what its record says so far.
local function announce(me, queues, heard, at)
  if queues and heard and string.sub(heard, 1, 18) == string.sub(at, 1, 18) then return end
  local worker = RQ_WORKER .. me.slot
  redis.call('HSET', worker, 'last_heartbeat', at)
  if not queues then
    redis.call('HSET', worker, 'queues', me.pools, 'exs_node', me.node, 'exs_boot', me.boot, 'exs_gpus', me.devices, 'exs_memory',
      me.devices == '' and '0' or me.memory, 'exs_only', me.only)
    redis.call('SADD', RQ_WORKERS, worker)
    for pool in string.gmatch(me.pools, '[^,]+') do redis.call('SADD', RQ_WORKERS .. ':' .. pool, worker) end
    if me.devices ~= '' then redis.call('SADD', NODE_SLOTS .. me.node, me.slot) end
  end
  redis.call('EXPIRE', worker, WORKER_TTL)
  redis.call('EXPIRE', NODE .. me.node, NODE_TTL)
end

-- It waits with another offer than before, or no more.
local function withdraw(me, offer)
  for pool in string.gmatch(me.pools, '[^,]+') do redis.call('ZREM', IDLE .. pool .. ':' .. offer, me.slot) end
end

-- It waits for a token.
local function wait_in_line(me, offer)
  for pool in string.gmatch(me.pools, '[^,]+') do
    redis.call('ZADD', IDLE .. pool .. ':' .. offer, me.now + me.lease, me.slot)
    redis.call('SADD', OFFERS .. pool, offer)
    redis.call('PEXPIRE', IDLE .. pool .. ':' .. offer, me.lease)
    redis.call('PEXPIRE', OFFERS .. pool, me.lease)
  end
end

--@ time number ready pick drained
-- claim(slot, attempt, node, boot, lease_ms, pools, devices, memory, only) -> flat claim or nil
-- Takes the job that stands first among those that fit this slot and leases it. The same attempt id gets the
-- same job again (R2, M8). With nothing to take, the slot is noted as idle and will be woken; a drained one is not.
-- What cannot be a job of ours leaves the queue and is quarantined; it stops nobody (R12).
-- keys: rq:suspended exs:shapes exs:ready exs:queues rq:queue rq:job rq:wip exs:leases exs:exp rq:worker(s) exs:idle exs:offers
--   exs:quarantine exs:astray exs:drained
-- answer: {id, attempt, number, experiment, ix, nm, pr, pt, sp, cm, fo, created_at, ck}
local slot, attempt, lease = ARGV[1], ARGV[2], tonumber(ARGV[5])
local pools, devices, memory, only = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local worker, offer = RQ_WORKER .. slot, devices .. '|' .. memory .. '|' .. only
local now = now_ms()
local at = iso(now)
-- Ids that are no jobs: so many are dropped in one call, the rest in later ones.
local junk = 1000

local function read(id)
  return redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin', 'ra', 'an', 'ix', 'nm', 'pr', 'pt', 'sp', 'cm', 'fo', 'created_at', 'at', 'ck')
end
local function answer(id, f, nth)
  return {id, attempt, nth, experiment_of(f[2]), f[5], f[6], f[7], f[8], f[9], f[10] or '', f[11] or '', f[12], f[14] or ''}
end

local held = redis.call('HMGET', worker, 'exs_at', 'current_job', 'queues', 'last_heartbeat')
if held[1] == attempt and held[2] then
  local f = read(held[2])
  if f[13] == attempt then return answer(held[2], f, f[4]) end
end

local function take(queue)
  while junk > 0 do
    local id = redis.pcall('LPOP', RQ_QUEUE .. queue)
    if type(id) ~= 'string' then return nil end
    local f = read(id)
    if not f.err and f[1] == 'QUEUED' and f[2] == queue and not f[3] then return id, f end
    junk = junk - 1
    local ours = not f.err and f[1] and (f[1] ~= 'QUEUED' or f[3])
    if ours then redis.call('ZADD', ASTRAY, now, id) end
    if not ours and redis.call('EXISTS', RQ_JOB .. id) == 1 then
      redis.call('ZADD', QUARANTINE, now, id)
      redis.call('ZREMRANGEBYRANK', QUARANTINE, 0, -QUARANTINED - 1)
    end
  end
end

local function lease_to(id, f, nth)
  local job = RQ_JOB .. id
  redis.call('ZADD', LEASES, now + lease, id)
  redis.call('HSET', job, 'st', 'RUNNING', 'status', 'started', 'at', attempt, 'worker_name', slot, 'started_at', at,
    'nd', ARGV[3], 'bt', ARGV[4], 'gp', devices, 'an', nth)
  if nth > 1 then
    redis.call('HDEL', job, 'ended_at', 'fc', 'fd', 'xc', 'sg', 'tl', 'rs', 'exc_info', 'description', 'rm', 'lx', 'dr', 'lg', 'pg', 'ss')
  end
  redis.pcall('ZADD', RQ_WIP .. f[2], '+inf', id .. ':' .. attempt)
  redis.call('HSET', worker, 'state', 'busy', 'current_job', id, 'exs_at', attempt)
end

-- The slot lives; one that ends many jobs in ten seconds says so once. One that RQ's registration forgot is listed by what
-- it offers, until its next renewal makes it register anew.
local function announce()
  if held[3] and held[4] and string.sub(held[4], 1, 18) == string.sub(at, 1, 18) then return end
  redis.call('HSET', worker, 'last_heartbeat', at)
  if not held[3] then
    redis.call('HSET', worker, 'queues', pools, 'exs_node', ARGV[3], 'exs_boot', ARGV[4], 'exs_gpus', devices)
    redis.call('SADD', RQ_WORKERS, worker)
    for p in string.gmatch(pools, '[^,]+') do redis.call('SADD', RQ_WORKERS .. ':' .. p, worker) end
  end
  redis.call('EXPIRE', worker, WORKER_TTL)
  redis.call('EXPIRE', NODE .. ARGV[3], NODE_TTL)
end

-- One look for both, since most fleets have neither.
local suspended, out = redis.call('EXISTS', RQ_SUSPENDED, DRAINED) > 0, false
if suspended then
  out = drained(slot, ARGV[3], now)
  suspended = out or redis.call('EXISTS', RQ_SUSPENDED) == 1
end
while not suspended and junk > 0 do
  local from = pick(pools, devices, memory, ARGV[3], only)
  if not from then break end
  local name = experiment_of(from.queue)
  local e = redis.pcall('HMGET', EXPERIMENT .. name, 'running', 'max', 'canary', 'preempted_by')
  local running = not e.err and whole(e[1])
  local id, f
  if running then id, f = take(from.queue) end
  if id then
    local nth = number(f[4]) + 1
    lease_to(id, f, nth)
    count(name, 'running', 1)
    if e[4] then redis.call('HDEL', EXPERIMENT .. name, 'preempted_by') end
    if from.score < FAIR then refresh(name, true)
    elseif (e[2] or e[3]) and running + 1 >= (most(e[2], e[3]) or 2 ^ 53) then refresh(name)
    elseif redis.call('EXISTS', RQ_QUEUE .. from.queue) == 0 then unset_ready(from.pool, from.shape, from.queue) end
    for p in string.gmatch(pools, '[^,]+') do redis.call('ZREM', IDLE .. p .. ':' .. offer, slot) end
    announce()
    return answer(id, f, nth)
  end
  if junk > 0 then unset_ready(from.pool, from.shape, from.queue) end
end
redis.call('DEL', NONE) -- see renew: a full server runs its queue empty, LPOP above having the same effect
redis.call('HSET', worker, 'state', suspended and 'suspended' or 'idle', 'exs_offer', offer)
redis.call('HDEL', worker, 'current_job', 'exs_at')
announce()
for p in string.gmatch(out and '' or pools, '[^,]+') do
  redis.call('ZADD', IDLE .. p .. ':' .. offer, now + lease, slot)
  redis.call('SADD', OFFERS .. p, offer)
  redis.call('PEXPIRE', IDLE .. p .. ':' .. offer, lease)
  redis.call('PEXPIRE', OFFERS .. p, lease)
end
return false

--@ time ready state
-- claim(slot, attempt, node, boot, lease_ms, pools, devices, memory, only) -> flat claim or nil
-- Takes the job that stands first among those that fit this slot and leases it. The same attempt id gets the
-- same job again (R2, M8). With nothing to take, the slot is noted as idle and will be woken.
-- keys: rq:suspended exs:shapes exs:ready rq:queue rq:job rq:wip exs:leases exs:exp rq:worker exs:idle
-- answer: {id, attempt, number, experiment, ix, nm, pr, pt, sp, cm, fo, created_at}
local slot, attempt, lease = ARGV[1], ARGV[2], tonumber(ARGV[5])
local pools, devices, memory, only = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local worker = RQ_WORKER .. slot
local now = now_ms()
local at = iso(now)

local function answer(id, name)
  local f = redis.call('HMGET', RQ_JOB .. id, 'an', 'ix', 'nm', 'pr', 'pt', 'sp', 'cm', 'fo', 'created_at')
  return {id, attempt, f[1], name, f[2], f[3], f[4], f[5], f[6], f[7] or '', f[8] or '', f[9]}
end

local held = redis.call('HMGET', worker, 'exs_at', 'current_job')
if held[1] == attempt and held[2] and redis.call('HGET', RQ_JOB .. held[2], 'at') == attempt then
  return answer(held[2], experiment_of(redis.call('HGET', RQ_JOB .. held[2], 'origin')))
end

-- The ready queue with the lowest score over all pools and shapes; within one experiment the lowest index wins.
local function head_index(queue)
  local id = redis.call('LINDEX', RQ_QUEUE .. queue, 0)
  return id and tonumber(redis.call('HGET', RQ_JOB .. id, 'ix')) or 0
end
local function first_of(key)
  if only == '' then return redis.call('ZRANGE', key, 0, 0, 'WITHSCORES') end
  local all = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    if experiment_of(all[i]) == only then return {all[i], all[i + 1]} end
  end
  return {}
end
local function best()
  local queue, score, pool, shape
  for p in string.gmatch(pools, '[^,]+') do
    for _, s in ipairs(redis.call('SMEMBERS', SHAPES .. p)) do
      local head = fits(s, devices, memory) and first_of(READY .. p .. ':' .. s) or {}
      if head[1] then
        local h = tonumber(head[2])
        local same = queue and math.floor(h / 128) == math.floor(score / 128)
        if not queue or (same and head_index(head[1]) < head_index(queue)) or (not same and h < score) then
          queue, score, pool, shape = head[1], h, p, s
        end
      end
    end
  end
  return queue, pool, shape
end

local function take(queue)
  local name = experiment_of(queue)
  while true do
    local id = redis.call('LPOP', RQ_QUEUE .. queue)
    if not id then return nil end
    local f = redis.call('HMGET', RQ_JOB .. id, 'st', 'origin', 'ra')
    if f[1] == 'QUEUED' and f[2] == queue and not f[3] then return id, name end
    redis.call('HINCRBY', EXPERIMENT .. name, 'dead:' .. queue, -1)
  end
end

local function lease_to(id, name, queue)
  local job = RQ_JOB .. id
  redis.call('HINCRBY', job, 'an', 1)
  redis.call('HSET', job, 'st', 'RUNNING', 'status', 'started', 'at', attempt, 'worker_name', slot, 'started_at', at,
    'last_heartbeat', at, 'nd', ARGV[3], 'bt', ARGV[4], 'gp', devices, 't0', now)
  redis.call('HDEL', job, 'ended_at', 't1', 'fc', 'fd', 'xc', 'sg', 'tl', 'rs', 'exc_info')
  redis.call('ZADD', RQ_WIP .. queue, '+inf', id .. ':' .. attempt)
  redis.call('ZADD', LEASES, now + lease, id)
  redis.call('HSET', worker, 'state', 'busy', 'current_job', id, 'exs_at', attempt, 'last_heartbeat', at)
end

redis.call('HSET', worker, 'last_heartbeat', at)
redis.call('EXPIRE', worker, WORKER_TTL)
local suspended = redis.call('EXISTS', RQ_SUSPENDED) == 1
while not suspended do
  local queue, pool, shape = best()
  if not queue then break end
  local id, name = take(queue)
  if id then
    lease_to(id, name, queue)
    local running = redis.call('HINCRBY', EXPERIMENT .. name, 'running', 1)
    local max = redis.call('HGET', EXPERIMENT .. name, 'max')
    if max and running >= tonumber(max) then sync(name)
    elseif redis.call('EXISTS', RQ_QUEUE .. queue) == 0 then unset_ready(pool, shape, queue) end
    for p in string.gmatch(pools, '[^,]+') do redis.call('HDEL', IDLE .. p, slot) end
    return answer(id, name)
  end
  unset_ready(pool, shape, queue)
end
redis.call('HSET', worker, 'state', suspended and 'suspended' or 'idle')
redis.call('HDEL', worker, 'current_job', 'exs_at')
for p in string.gmatch(pools, '[^,]+') do redis.call('HSET', IDLE .. p, slot, devices .. '|' .. memory) end
return false

--@ time number list ready state attempt pause edit lose late drift mend shown drained
-- reap(limit, interval_ms, gap_ms, lease_ms, lost_after_ms, share, lost_max_ms, budget, wait_ms, wait_max_ms, stage_ms)
--   -> {ran, lost, queued, stale stage or '', one of the experiments to mend or ''}
-- The only script that ends an attempt whose lease ran out, and that asks what drained slots still run to stop: at most once
-- per interval, whoever calls.
-- Late is not lost: at once only if the node has booted since (its boot differs from the lease's), else after
-- lost_after or a share of the run time. Nothing is lost by time unless the fleet has been in contact for a whole
-- lease: a restart or a stall of Redis, or a gap in everybody's contact, starts that anew (R5).
-- Also queues again the jobs whose wait is over, puts back what claim met in a list where it does not belong, brings a few
-- experiments' ready queues in line in turn, so that what RQ's own tools put back is claimed too, names the first of
-- them whose registries hold other than what is counted, and one push that was never committed.
-- keys: exs:astray exs:mend rq:queues rq:workers exs:pulse exs:leases exs:later exs:node exs:stages exs:experiments and those of lose and drained
local limit, interval, gap, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local patience = {lease = lease, base = tonumber(ARGV[5]), share = tonumber(ARGV[6]), most = tonumber(ARGV[7])}
local touched = {}
local LOOKED_AT = 50 -- queues looked at per call: about a millisecond; one experiment at least, whole

local function queue_again()
  local due = redis.call('ZRANGEBYSCORE', LATER, 0, now, 'LIMIT', 0, limit)
  for _, id in ipairs(due) do
    local job = load(id)
    if job and job.st == 'QUEUED' and job.ra then
      leave(job)
      drop_blanks()
      requeue(job, now)
      touched[job.exp] = true
    else
      redis.call('ZREM', LATER, id)
    end
  end
  sync_all(touched)
  return #due
end

-- Those that are late but not lost must not hide those behind them: ten times as many are looked at as may be lost.
local function end_lost()
  local lost = 0
  local late = redis.call('ZRANGEBYSCORE', LEASES, 0, now, 'WITHSCORES', 'LIMIT', 0, limit * 10)
  for i = 1, #late, 2 do
    local held = held_by(late[i])
    local why = held and verdict(held, now - tonumber(late[i + 1]), now, patience)
    local job = why and load(late[i])
    if not held or why and not job then
      redis.call('ZREM', LEASES, late[i])
    elseif why then
      lose(job, why, now, tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]))
      lost = lost + 1
      if lost >= limit then break end
    end
  end
  relieve_pressed()
  return lost
end

local function put_back()
  local astray = redis.call('ZRANGE', ASTRAY, 0, limit - 1)
  for _, id in ipairs(astray) do
    redis.call('ZREM', ASTRAY, id)
    local job = load(id)
    if job and mend(id, now) then touched[job.exp] = true end
  end
  sync_all(touched)
end

-- The place to go on from, and the experiment that drifted.
local function sync_some(from)
  local names = redis.call('ZRANGE', EXPERIMENTS, from, from + LOOKED_AT - 1)
  local drifted, queues, done = '', 0, 0
  while done < #names and queues < LOOKED_AT do
    done = done + 1
    local name = names[done]
    refresh(name)
    if drifted == '' and (drift(name) or redis.call('EXISTS', MEND .. name) == 1) then drifted = name end
    queues = queues + #queues_of(name)
  end
  show_some({unpack(names, 1, done)}, now)
  return (done < #names or done == LOOKED_AT) and from + done or 0, drifted
end

redis.call('DEL', NONE) -- see renew
local queued = queue_again()
local pulse = redis.call('HMGET', PULSE, 'at', 'since', 'next')
local last, since = number(pulse[1]), whole(pulse[2]) or now
if now - last < interval and now >= last then return {0, 0, queued, '', ''} end
if now - last > gap or now < last then since = now end
put_back()
stop_drained(now)
local after, drifted = sync_some(number(pulse[3]))
redis.call('HSET', PULSE, 'at', now, 'since', since, 'next', after)
local lost = now - since >= lease and end_lost() or 0
for _, pool in ipairs(redis.call('SRANDMEMBER', POOLS, 2)) do
  if preempts(pool) then
    coming_in(pool, now)
    relieve(pool)
  end
end
local stale = redis.call('ZRANGEBYSCORE', STAGES, 0, now - tonumber(ARGV[11]), 'LIMIT', 0, 1)
return {1, lost, queued, stale[1] or '', drifted}

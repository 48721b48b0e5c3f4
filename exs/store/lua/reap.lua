--@ time ready state lose
-- reap(limit, interval_ms, gap_ms, lease_ms, lost_after_ms, share, lost_max_ms, budget, wait_ms, wait_max_ms, stage_ms)
--   -> {ran, lost, queued, stale stage or ''}
-- The only script that ends an attempt whose lease ran out. Runs at most once per interval, whoever calls.
-- Late is not lost: at once only if the node has booted since (its boot differs from the lease's), else after
-- lost_after or a share of the run time. Nothing is lost by time unless the fleet has been in contact for a whole
-- lease: a restart or a stall of Redis, or a gap in everybody's contact, starts that anew (R5).
-- Also queues again the jobs whose wait is over, and names one push that was never committed.
local limit, interval, gap, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local pulse = redis.call('HMGET', PULSE, 'at', 'since')
local last = tonumber(pulse[1] or 0)
if now - last < interval and now >= last then return {0, 0, 0, ''} end
local since = tonumber(pulse[2] or now)
if not pulse[1] or now - last > gap or now < last then since = now end
redis.call('HSET', PULSE, 'at', now, 'since', since)

local function lost_after(job)
  local base = tonumber(redis.call('HGET', EXPERIMENT .. job.exp, 'lost') or ARGV[5])
  return math.max(base, math.min((now - job.t0) * tonumber(ARGV[6]), tonumber(ARGV[7])))
end

local lost = 0
if now - since >= lease then
  local late = redis.call('ZRANGEBYSCORE', LEASES, 0, now, 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #late, 2 do
    local job = load(late[i])
    if not job or not job.at then
      redis.call('ZREM', LEASES, late[i])
    else
      local silent = now - tonumber(late[i + 1])
      local boot = redis.call('HGET', NODE .. (job.nd or ''), 'boot')
      local why
      if boot and boot ~= job.bt then
        why = 'node ' .. job.nd .. ' has restarted'
      elseif silent >= lost_after(job) then
        why = 'no word from ' .. (job.nd or '?') .. ' for ' .. math.floor((silent + lease) / 1000) .. ' s'
      end
      if why then
        lose(job, why, now, tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]))
        lost = lost + 1
      end
    end
  end
end

local due = redis.call('ZRANGEBYSCORE', LATER, 0, now, 'LIMIT', 0, limit)
local touched = {}
for _, id in ipairs(due) do
  local job = load(id)
  if job and job.st == 'QUEUED' and job.ra then
    leave(job)
    requeue(job, now)
    touched[job.exp] = true
  else
    redis.call('ZREM', LATER, id)
  end
end
for name in pairs(touched) do sync(name) end
local stale = redis.call('ZRANGEBYSCORE', STAGES, 0, now - tonumber(ARGV[11]), 'LIMIT', 0, 1)
return {1, lost, #due, stale[1] or ''}

--@ time number list ready state attempt pause
-- activate(behind, id1, ...) -> {queued, resuming, already, over, missing, left} | {queued, skipped id, ...}
-- A PAUSED job is queued at its place, retries and losses counted as before. One that is still PAUSING goes there when it has
-- stopped. Ids are taken from the last, and `left` of them, the first, are not looked at: a place in the middle of a
-- long list costs Redis a walk to it.
-- With `behind`, ids are taken from the first and only those that stand behind all that waits are queued; the others are
-- answered. Who first puts back what stands behind, from the first on, then the rest, from the last on, walks least.
-- keys: rq:job rq:queue|deferred exs:exp exs:ready
local WALK = 50000 -- places: about 2 ms
local now = now_ms()
local queued, resuming, already, over, missing, left = 0, 0, 0, 0, 0, 0
local touched = {}
local walked = 0

local function back(job)
  leave(job)
  redis.call('HDEL', RQ_JOB .. job.id, 'pb')
  set_queued(job, now)
  touched[job.exp] = true
  queued = queued + 1
end

if ARGV[1] == '1' then
  local reply = {0}
  for i = 2, #ARGV do
    local job = load(ARGV[i])
    local paused = job and job.st == 'PAUSED' and committed(job)
    local last = paused and redis.call('LINDEX', RQ_QUEUE .. job.q, -1)
    if paused and (not last or (stands_at(last) or math.huge) < job.po) then
      back(job)
      redis.call('RPUSH', RQ_QUEUE .. job.q, job.id)
    else
      reply[#reply + 1] = ARGV[i]
    end
  end
  sync_all(touched)
  reply[1] = queued
  return reply
end

for i = #ARGV, 2, -1 do
  if walked > WALK then
    left = i - 1
    break
  end
  local job = load(ARGV[i])
  if not job or not committed(job) then
    missing = missing + 1
  elseif job.st == 'PAUSING' and job.wn == 'pause' then
    redis.call('HSET', RQ_JOB .. job.id, 'wn', redis.call('HEXISTS', RQ_JOB .. job.id, 'ed') == 1 and 'edit' or 'preempt')
    redis.call('HDEL', RQ_JOB .. job.id, 'pb')
    resuming = resuming + 1
  elseif job.st == 'PAUSED' then
    back(job)
    walked = walked + insert(job.q, job.id, job.po)
  elseif job.at or job.st == 'QUEUED' then
    already = already + 1
  else
    over = over + 1
  end
end
sync_all(touched)
return {queued, resuming, already, over, missing, left}

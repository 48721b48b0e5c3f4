--@ time number list ready state attempt pause
-- activate(id1, ...) -> {queued, resuming, already, over, missing, left}
-- A PAUSED job is queued at its place, retries and losses counted as before. One that is still PAUSING goes there when it has
-- stopped. Ids are taken from the last, and `left` of them, the first, are not looked at: a place in the middle of a
-- long list costs Redis a walk to it.
-- keys: rq:job rq:queue|deferred exs:exp exs:ready
local WALK = 200000 -- places: about 2 ms
local now = now_ms()
local queued, resuming, already, over, missing, left = 0, 0, 0, 0, 0, 0
local touched = {}
local walked = 0
for i = #ARGV, 1, -1 do
  if walked > WALK then
    left = i
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
    leave(job)
    redis.call('HDEL', RQ_JOB .. job.id, 'pb')
    set_queued(job, now)
    walked = walked + insert(job.q, job.id, job.po)
    touched[job.exp] = true
    queued = queued + 1
  elseif job.at or job.st == 'QUEUED' then
    already = already + 1
  else
    over = over + 1
  end
end
sync_all(touched)
return {queued, resuming, already, over, missing, left}

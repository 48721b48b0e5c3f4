--@ time number list ready state attempt
-- release(id, attempt, slot, why) -> ours | fenced | gone
-- A planned stop: the job goes back to its place, unpunished. A job whose end was asked for is CANCELED instead.
-- Without an id: what the slot was given under that attempt, if anything.
-- keys: rq:job exs:leases rq:wip rq:queue rq:canceled exs:ready exs:exp exs:attempts rq:worker
local id, attempt = ARGV[1], ARGV[2]
if id == '' then
  local w = redis.pcall('HMGET', RQ_WORKER .. ARGV[3], 'current_job', 'exs_at')
  id = w[2] == attempt and w[1] or ''
end
local job = load(id)
if not job or job.at ~= attempt then return not_held(job, attempt) end
redis.call('DEL', NONE) -- see renew
local now = now_ms()
local f = {'ended_at', iso(now), 'fd', ARGV[4], 'dn', attempt}
leave(job)
if unwanted(job) then
  enter(job, 'CANCELED', now, f)
else
  redis.call('HSET', RQ_JOB .. id, unpack(f))
  remember(job)
  requeue(job, now)
end
free_slot(ARGV[3], attempt)
sync(job.exp)
return 'ours'

--@ time number list ready state attempt paths outcome pause edit mates
-- release(id, attempt, slot, why, outcome JSON, result JSON, tail) -> ours | fenced | gone
-- A planned stop: the job goes back to its place, unpunished, or is PAUSED where that was asked. A job whose end was asked
-- for is CANCELED instead. outcome: as in finish, '' where nothing is known.
-- Without an id: what the slot was given under that attempt, if anything.
-- keys: rq:job exs:leases rq:wip rq:queue|deferred|canceled exs:ready exs:exp exs:attempts exs:points rq:worker
local id, attempt = ARGV[1], ARGV[2]
if id == '' then
  local w = redis.pcall('HMGET', RQ_WORKER .. ARGV[3], 'current_job', 'exs_at')
  id = w[2] == attempt and w[1] or ''
end
local job = load(id)
if not job or job.at ~= attempt then return not_held(job, attempt) end
redis.call('DEL', NONE) -- see renew
local now = now_ms()
local o = ARGV[5] ~= '' and cjson.decode(ARGV[5]) or {}
o.detail, o.failure = ARGV[4], nil
local by = job.wn == 'preempt' and redis.call('HGET', RQ_JOB .. id, 'pv')
if by then o.detail = 'preempted by ' .. by
elseif job.wn == 'preempt' then o.detail = string.gsub(o.detail, '^preempted', 'its slot was drained') end
leave(job)
redis.call('HSET', RQ_JOB .. id, unpack(outcome_fields(job, o, attempt, now, ARGV[6], ARGV[7])))
if unwanted(job) then
  apply_edit(job)
  enter(job, 'CANCELED', now, {'ended_at', iso(now)})
else
  remember(job)
  apply_edit(job)
  set_aside(job, now)
end
free_slot(ARGV[3], attempt)
if job.sl then free_mates(job) end
sync(job.exp)
return 'ours'

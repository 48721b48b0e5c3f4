-- Ends an attempt whose slot or node is lost: back to the queue unpunished, until the crash budget is spent.
-- The first loss is queued at once; later ones wait, doubling, so that a poison job does not race through a fleet.
-- One that was to be paused or to run anew is where it was to go, and the loss is not counted: it was asked to stop.
local function lose(job, why, now, budget, wait, longest)
  leave(job)
  free_slot(job.slot, job.at)
  local asked = job.wn == 'pause' or job.wn == 'edit'
  local lost = job.ls + (asked and 0 or 1)
  local f = {'ls', lost, 'ended_at', iso(now), 'fc', 'lost', 'fd', why}
  redis.call('HDEL', RQ_JOB .. job.id, 'xc', 'sg')
  if unwanted(job) then
    redis.call('HSET', RQ_JOB .. job.id, unpack(f))
    apply_edit(job)
    enter(job, 'CANCELED', now, {'ended_at', iso(now)})
  elseif lost >= budget and not asked then
    f[6], f[8] = 'poison', 'lost with its slot ' .. lost .. ' times; last: ' .. why
    f[9], f[10], f[11], f[12] = 'exc_info', 'poison: ' .. why, 'description', 'poison: ' .. why
    enter(job, 'CRASHED', now, f)
  else
    redis.call('HSET', RQ_JOB .. job.id, unpack(f))
    remember(job)
    if asked then
      apply_edit(job)
      set_aside(job, now)
    elseif lost == 1 then requeue(job, now)
    else requeue_later(job, now, now + math.min(wait * 2 ^ (lost - 2), longest)) end
  end
  sync(job.exp)
end

-- Ends an attempt whose slot or node is lost: back to the queue unpunished, until the crash budget is spent.
-- The first loss is queued at once; later ones wait, doubling, so that a poison job does not race through a fleet.
local function lose(job, why, now, budget, wait, longest)
  leave(job)
  local lost = job.ls + 1
  redis.call('HSET', RQ_JOB .. job.id, 'ls', lost, 't1', now, 'ended_at', iso(now), 'fc', 'lost', 'fd', why)
  redis.call('HDEL', RQ_JOB .. job.id, 'xc', 'sg')
  remember(job)
  free_slot(job.slot)
  if job.wn == 'cancel' or job.wn == 'kill' then
    redis.call('HDEL', RQ_JOB .. job.id, 'at', 'wn')
    enter(job, 'CANCELED', now)
  elseif lost >= budget then
    redis.call('HDEL', RQ_JOB .. job.id, 'at', 'wn')
    redis.call('HSET', RQ_JOB .. job.id, 'fc', 'poison', 'fd', 'lost with its slot ' .. lost .. ' times; last: ' .. why,
      'exc_info', 'poison: ' .. why)
    enter(job, 'CRASHED', now)
  elseif lost == 1 then
    requeue(job, now)
  else
    requeue_later(job, now, now + math.min(wait * 2 ^ (lost - 2), longest))
  end
  sync(job.exp)
end

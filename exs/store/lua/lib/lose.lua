--@ mates
-- Ends an attempt whose slot or node is lost: back to the queue unpunished, until the crash budget is spent.
-- The first loss is queued at once; later ones wait, doubling, so that a poison job does not race through a fleet.
-- One that was to be paused, to make room or to run anew is where it was to go, and the loss is not counted: it was asked to stop.
-- `failure`: lost, or gpu when a GPU of its slot failed. What the sweep says of it (`on_lost`, `on_gpu`, `on_poison`) goes
-- before the budget: fail, pause, or how often it may be lost so and run again.
-- Who has lost all that there is to lose calls `relieve_pressed`: a node may lose a hundred jobs at once.
local function lose(job, why, now, budget, wait, longest, failure)
  failure = failure or 'lost'
  leave(job)
  if job.sl then disband(job) else free_slot(job.slot, job.at) end
  local e = redis.pcall('HMGET', EXPERIMENT .. job.exp, 'on_' .. failure, 'on_poison')
  local asked = job.wn == 'pause' or job.wn == 'edit' or job.wn == 'preempt'
  local rule = not asked and not unwanted(job) and e[1] or nil
  budget = whole(rule) and whole(rule) + 1 or budget
  local lost = job.ls + ((asked or rule == 'pause') and 0 or 1)
  local f = {'ls', lost, 'ended_at', iso(now), 'fc', failure, 'fd', why}
  redis.call('HDEL', RQ_JOB .. job.id, 'xc', 'sg')
  if unwanted(job) then
    redis.call('HSET', RQ_JOB .. job.id, unpack(f))
    apply_edit(job)
    enter(job, 'CANCELED', now, {'ended_at', iso(now)})
  elseif rule == 'fail' or lost >= budget and not asked and rule ~= 'pause' then
    if rule ~= 'fail' then
      f[6], f[8] = 'poison', 'lost with its slot ' .. lost .. ' times; last: ' .. why
      if e[2] == 'pause' then rule = 'pause' end
    end
    f[9], f[10], f[11], f[12] = 'exc_info', f[6] .. ': ' .. why, 'description', f[6] .. ': ' .. why
    enter(job, 'CRASHED', now, f)
  else
    redis.call('HSET', RQ_JOB .. job.id, unpack(f))
    remember(job)
    if asked then
      apply_edit(job)
      set_aside(job, now)
    elseif lost == 1 or rule == 'pause' then requeue(job, now)
    else requeue_later(job, now, now + math.min(wait * 2 ^ (lost - 2), longest)) end
  end
  if rule == 'pause' then
    pause_experiment(job.exp, 'on_failure of ' .. f[6] .. ': job ' .. job.exp .. '/' .. job.ix .. ': ' .. why, now)
  else
    refresh(job.exp)
  end
end

--@ time number list ready state attempt paths outcome pause edit drained elsewhere breaker canary fate mates
-- crash(id, attempt, slot, outcome JSON, result JSON, tail, retry_wait_ms, retry_wait_max_ms, crash_budget, slots, first,
--   streak, fast_s, quarantine_ms) -> ours | fenced | gone
-- Accepts the failure of the attempt that holds the job, once; the same attempt again gets the same answer (R2). What
-- becomes of the job is `fate`; a job whose end was asked for is CANCELED, one that was to be paused is PAUSED instead of
-- waiting, one that was edited while it ran runs anew, whatever this attempt came to. Then the breaker looks: too many that
-- fail alike pause the experiment, a slot on which different jobs fail is drained (the numbers: see settings.py).
-- outcome: that of finish, and failure after again kind exclude_node device_memory gpu_memory alike.
-- keys: rq:job exs:leases rq:wip rq:failed|canceled|scheduled exs:later exs:exp exs:queues exs:attempts exs:breaker
--   exs:drained rq:worker(s) rq:finished
local id, attempt, slot = ARGV[1], ARGV[2], ARGV[3]
local job = load(id)
if not job or job.at ~= attempt then return not_held(job, attempt) end
local o = cjson.decode(ARGV[4])
local canceled = unwanted(job)
if canceled then o.state, o.failure = 'CANCELED', nil end
if not allowed(job, o.state) then return redis.error_reply('EXS a ' .. job.st .. ' job cannot become ' .. o.state) end

local now = now_ms()
local limits = {wait = tonumber(ARGV[7]), longest = tonumber(ARGV[8]), budget = tonumber(ARGV[9]), slots = tonumber(ARGV[10]),
  first = tonumber(ARGV[11]), streak = tonumber(ARGV[12]), fast = tonumber(ARGV[13]), quarantine = tonumber(ARGV[14])}
local e = experiment_fields(job.exp)
local f = outcome_fields(job, o, attempt, now, ARGV[5], ARGV[6])
local planned = job.wn and redis.call('HEXISTS', RQ_JOB .. id, 'ed') == 1
leave(job) -- its first write frees, see renew: those below pass on a full server
local next_one = not canceled and not planned and fate(job, o, e, limits)
if planned then
  redis.call('HSET', RQ_JOB .. id, unpack(f))
  remember(job)
  apply_edit(job)
  if canceled then enter(job, 'CANCELED', now, {'fd', 'canceled'}) else set_aside(job, now) end
elseif next_one then
  redis.call('HSET', RQ_JOB .. id, unpack(f))
  redis.call('HSET', RQ_JOB .. id, unpack(next_one.fields))
  remember(job)
  if o.exclude_node then note_excluded(job) end
  if next_one.shape then reshape(job, next_one.shape) end
  if job.wn == 'pause' then set_aside(job, now)
  elseif next_one.wait > 0 then requeue_later(job, now, now + next_one.wait)
  else requeue(job, now) end
else
  if o.after == 'requeue' and not canceled then
    f[#f + 1] = 'fd'
    f[#f + 1] = (o.detail or '') .. '; given up after ' .. job.an .. ' runs'
  end
  enter(job, o.state, now, f)
end
free_slot(slot, attempt, 'failed_job_count', tonumber(o.seconds) or 0)
if job.sl then free_mates(job) end

if next_one and next_one.pause then
  pause_experiment(job.exp, next_one.pause, now)
elseif not canceled and not planned then
  local why = not next_one and whole(e.canary) and canary_failed(job, o) or breaker(job, o, slot, e, limits, now)
  if why then pause_experiment(job.exp, why, now) end
end
sync(job.exp)
return 'ours'

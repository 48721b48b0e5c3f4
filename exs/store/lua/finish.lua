--@ time number list ready state attempt paths outcome pause edit
-- finish(id, attempt, slot, outcome JSON, result JSON, tail, retry_wait_ms, retry_wait_max_ms) -> ours | fenced | gone
-- Accepts the outcome of the attempt that holds the job, once; the same attempt again gets the same answer (R2).
-- outcome: state failure detail exit_code signal seconds directory log max_rss log_dropped.
-- A crash with retries left waits, then runs again; a job whose end was asked for is CANCELED unless it succeeded, one that
-- was to be paused is PAUSED instead of waiting. One that was edited while it ran runs anew, whatever this attempt came to.
-- keys: rq:job exs:leases rq:wip rq:finished|failed|canceled|scheduled exs:later exs:exp exs:attempts rq:worker
local id, attempt, slot = ARGV[1], ARGV[2], ARGV[3]
local job = load(id)
if not job or job.at ~= attempt then return not_held(job, attempt) end
local o = cjson.decode(ARGV[4])
if o.state == 'CRASHED' and unwanted(job) then o.state, o.failure = 'CANCELED', nil end
if not REGISTRY[o.state] or not allowed(job, o.state) then return redis.error_reply('EXS a ' .. job.st .. ' job cannot become ' .. o.state) end

local now = now_ms()
local f = outcome_fields(job, o, attempt, now, ARGV[5], ARGV[6])
local running = leave(job) -- its first write frees, see renew: those below pass on a full server
local e = redis.pcall('HMGET', EXPERIMENT .. job.exp, 'retries', 'max', 'fair')
local planned = job.wn and redis.call('HEXISTS', RQ_JOB .. id, 'ed') == 1
if planned then
  redis.call('HSET', RQ_JOB .. id, unpack(f))
  remember(job)
  apply_edit(job)
  if unwanted(job) then enter(job, 'CANCELED', now, {'fd', 'canceled'}) else set_aside(job, now) end
elseif o.state == 'CRASHED' and job.rt < number(e[1]) and job.wn == 'pause' then
  redis.call('HSET', RQ_JOB .. id, 'rt', job.rt + 1, unpack(f))
  remember(job)
  set_aside(job, now)
elseif o.state == 'CRASHED' and job.rt < number(e[1]) then
  redis.call('HSET', RQ_JOB .. id, 'rt', job.rt + 1, unpack(f))
  remember(job)
  requeue_later(job, now, now + math.min(tonumber(ARGV[7]) * 2 ^ job.rt, tonumber(ARGV[8])))
else
  enter(job, o.state, now, f)
end
-- Below max_running nothing has changed but the share of a pool.
local changed = planned or running + 1 >= (whole(e[2]) or 2 ^ 53)
if changed or e[3] then sync(job.exp, not changed) end

free_slot(slot, attempt, o.state == 'CRASHED' and 'failed_job_count' or 'successful_job_count', tonumber(o.seconds) or 0)
return 'ours'

--@ time number list ready state attempt paths outcome pause edit canary mates
-- finish(id, attempt, slot, outcome JSON, result JSON, tail) -> ours | fenced | gone
-- Accepts the outcome of the attempt that holds the job, once; the same attempt again gets the same answer (R2). A failure
-- is for crash.lua.
-- outcome: state detail exit_code signal seconds directory log max_rss log_dropped.
-- One that was edited while it ran runs anew, whatever this attempt came to.
-- keys: rq:job exs:leases rq:wip rq:finished|canceled exs:exp exs:attempts rq:worker
local id, attempt, slot = ARGV[1], ARGV[2], ARGV[3]
local job = load(id)
if not job or job.at ~= attempt then return not_held(job, attempt) end
local o = cjson.decode(ARGV[4])
if not REGISTRY[o.state] or not allowed(job, o.state) then return redis.error_reply('EXS a ' .. job.st .. ' job cannot become ' .. o.state) end

local now = now_ms()
local f = outcome_fields(job, o, attempt, now, ARGV[5], ARGV[6])
local running = leave(job) -- its first write frees, see renew: those below pass on a full server
local e = redis.pcall('HMGET', EXPERIMENT .. job.exp, 'max', 'canary', 'fair')
local planned = job.wn and redis.call('HEXISTS', RQ_JOB .. id, 'ed') == 1
if planned then
  redis.call('HSET', RQ_JOB .. id, unpack(f))
  remember(job)
  apply_edit(job)
  if unwanted(job) then enter(job, 'CANCELED', now, {'fd', 'canceled'}) else set_aside(job, now) end
else
  enter(job, o.state, now, f)
  if e[2] and REGISTRY[o.state] == RQ_FINISHED then canary_succeeded(job.exp) end
end
-- Below max_running nothing has changed but the share of a pool.
local changed = planned or e[2] or running + 1 >= (whole(e[1]) or 2 ^ 53)
if changed or e[3] then refresh(job.exp, not changed) end

free_slot(slot, attempt, 'successful_job_count', tonumber(o.seconds) or 0)
if job.sl then free_mates(job) end
return 'ours'

--@ time number list ready state
-- cancel(want, id1, ...) -> {canceled, asked, already, missing}; want is cancel or kill
-- A waiting job is CANCELED at once. A running one is asked through its slot, twice: on RQ's channel (at once) and as
-- a field that its next renewal returns (surely). kill overrides cancel, never the reverse.
-- keys: rq:job rq:queue|scheduled|deferred rq:canceled exs:exp exs:ready
local want = ARGV[1]
local now = now_ms()
local canceled, asked, already, missing = 0, 0, 0, 0
local touched = {}
redis.call('DEL', 'exs:none') -- see renew
for i = 2, #ARGV do
  local job = load(ARGV[i])
  if not job or not committed(job) then
    missing = missing + 1
  elseif job.at then
    if not (job.wn == 'kill' and want == 'cancel') then redis.call('HSET', RQ_JOB .. job.id, 'wn', want) end
    redis.call('PUBLISH', RQ_PUBSUB .. job.slot, cjson.encode({command = 'exs', want = want, job_id = job.id, attempt = job.at}))
    asked = asked + 1
  elseif allowed(job, 'CANCELED') then
    leave(job)
    enter(job, 'CANCELED', now, {'t1', now, 'ended_at', iso(now), 'fd', 'canceled while it waited'})
    touched[job.exp] = true
    canceled = canceled + 1
  else
    already = already + 1
  end
end
drop_blanks()
sync_all(touched)
return {canceled, asked, already, missing}

--@ time number list ready state attempt pause
-- pause(by, id1, ...) -> {paused, asked, already, over, missing}
-- A waiting job is PAUSED at once; it stands in RQ's deferred registry, scored by its index. One that runs is asked
-- through its slot (`ask`) and is PAUSING until it is off its GPU. A job that is to end stays so.
-- keys: rq:job rq:queue|scheduled|deferred exs:later exs:exp exs:ready
local by = ARGV[1]
local now = now_ms()
local paused, asked, already, over, missing = 0, 0, 0, 0, 0
local touched = {}
redis.call('DEL', NONE) -- see renew
for i = 2, #ARGV do
  local job = load(ARGV[i])
  if not job or not committed(job) then
    missing = missing + 1
  elseif job.at and (job.wn == 'pause' or unwanted(job)) or job.st == 'PAUSED' then
    already = already + 1
  elseif job.at then
    redis.call('HSET', RQ_JOB .. job.id, 'pb', by)
    ask(job, 'pause')
    asked = asked + 1
  elseif allowed(job, 'PAUSED') then
    leave(job)
    enter(job, 'PAUSED', now, {'pb', by})
    touched[job.exp] = true
    paused = paused + 1
  else
    over = over + 1
  end
end
drop_blanks()
sync_all(touched)
return {paused, asked, already, over, missing}

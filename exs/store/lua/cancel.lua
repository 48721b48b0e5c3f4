--@ time number list ready state attempt
-- cancel(want, id1, ...) -> {canceled, asked, already, missing}; want is cancel or kill
-- A waiting job is CANCELED at once. A running one is asked through its slot (`ask`).
-- keys: rq:job rq:queue|scheduled|deferred rq:canceled exs:exp exs:ready
local want = ARGV[1]
local now = now_ms()
local canceled, asked, already, missing = 0, 0, 0, 0
local touched = {}
redis.call('DEL', NONE) -- see renew
for i = 2, #ARGV do
  local job = load(ARGV[i])
  if not job or not committed(job) then
    missing = missing + 1
  elseif job.at then
    ask(job, want)
    asked = asked + 1
  elseif allowed(job, 'CANCELED') then
    leave(job)
    enter(job, 'CANCELED', now, {'ended_at', iso(now), 'fd', 'canceled while it waited'})
    touched[job.exp] = true
    canceled = canceled + 1
  else
    already = already + 1
  end
end
drop_blanks()
sync_all(touched)
return {canceled, asked, already, missing}

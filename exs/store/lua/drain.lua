--@ time number list ready state attempt drained
-- drain(by, why, grace, place1, ...) -> {new|changed|same, JSON, ...}: these nodes and slots take no job from now on.
-- grace: ms after which what still runs is asked to stop; - for never, '' to leave that as it is.
-- A drain said again keeps what is not said anew; a person's takes over the breaker's, which nothing but `enable` ends then.
-- keys: exs:drained rq:workers rq:worker exs:idle rq:job
local by, why, grace = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
local answer, drains = {}, {}
for i = 4, #ARGV do
  local place = ARGV[i]
  local before = redis.pcall('HGET', DRAINED, place)
  local d = drain_in(before, now)
  local what = d and 'same' or 'new'
  if not d or d.kind ~= 'drain' then
    d = {why = d and d.why, stop = d and d.stop, asked = d and d.asked, by = by, at = now, kind = 'drain'}
    what = what == 'new' and what or 'changed'
  end
  if why ~= '' and d.why ~= why then d.why, what = why, what == 'new' and what or 'changed' end
  local stop = tonumber(grace)
  if stop or grace == '-' and d.stop then
    d.stop, d.asked, what = stop and now + stop, nil, what == 'new' and what or 'changed'
  end
  if what ~= 'same' then drains[place] = d end
  answer[#answer + 1] = what
  answer[#answer + 1] = cjson.encode(d)
end
if next(drains) then
  set_drains(drains)
  stop_drained(now)
end
return answer

--@ time drained
-- enable(place1, ...) -> {place, JSON, ...}: what was drained and is no more; with a node its slots.
-- keys: exs:drained rq:workers rq:worker exs:wake
local answer, places = {}, {}
local flat = redis.pcall('HGETALL', DRAINED)
for i = 1, flat.err and 0 or #flat, 2 do
  for _, place in ipairs(ARGV) do
    if flat[i] == place or string.sub(flat[i], 1, #place + 1) == place .. ':' then
      answer[#answer + 1] = flat[i]
      answer[#answer + 1] = flat[i + 1]
      places[flat[i]] = true
      break
    end
  end
end
if next(places) then end_drains(places) end
return answer

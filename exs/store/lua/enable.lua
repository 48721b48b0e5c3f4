--@ time drained
-- enable(place1, ...) -> {place, JSON, ...}: what was drained and is no more; with a node its slots.
-- keys: exs:drained rq:workers rq:worker exs:wake
local answer = {}
local flat = redis.pcall('HGETALL', DRAINED)
for i = 1, flat.err and 0 or #flat, 2 do
  for _, place in ipairs(ARGV) do
    if flat[i] == place or string.sub(flat[i], 1, #place + 1) == place .. ':' then
      if end_drain(flat[i]) then
        answer[#answer + 1] = flat[i]
        answer[#answer + 1] = flat[i + 1]
      end
    end
  end
end
return answer

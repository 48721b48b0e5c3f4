-- metrics(id1, ...) -> {{name, summary, ...}, {points of the first name, ...}} for each. Writes nothing.
-- keys read: exs:metrics exs:series
local found = {}
for i, id in ipairs(ARGV) do
  local told, series = redis.pcall('HGETALL', METRICS .. id), {}
  if told.err then told = {} end
  for k = 1, #told, 2 do series[#series + 1] = SERIES .. id .. ':' .. told[k] end
  local points = #series > 0 and redis.call('MGET', unpack(series)) or {}
  for k = 1, #points do points[k] = points[k] or '' end
  found[i] = {told, points}
end
return found

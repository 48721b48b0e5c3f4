-- metrics(points, id1, ...) -> {{name, summary, ...}, {points of the first name, ...}} for each; `points` '' leaves them out.
-- Writes nothing.
-- keys read: exs:metrics exs:series
local found = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local told, series = redis.pcall('HGETALL', METRICS .. id), {}
  if told.err then told = {} end
  for k = 1, ARGV[1] ~= '' and #told or 0, 2 do series[#series + 1] = SERIES .. id .. ':' .. told[k] end
  local points = #series > 0 and redis.call('MGET', unpack(series)) or {}
  for k = 1, #points do points[k] = points[k] or '' end
  found[i - 1] = {told, points}
end
return found

-- metrics(points, n, name1, ..., id1, ...) -> {{name, summary, ...}, {points of the first name, ...}} for each id: of the `n`
-- metrics that are named, of all if `n` is 0; `points` '' leaves these out. Writes nothing.
-- keys read: exs:metrics exs:series
local named = tonumber(ARGV[2])
local function summaries(id)
  if named == 0 then
    local told = redis.pcall('HGETALL', METRICS .. id)
    return told.err and {} or told
  end
  local told = {}
  for k, summary in ipairs(redis.pcall('HMGET', METRICS .. id, unpack(ARGV, 3, 2 + named))) do
    if summary then
      told[#told + 1] = ARGV[2 + k]
      told[#told + 1] = summary
    end
  end
  return told
end
local found = {}
for i = 3 + named, #ARGV do
  local told, series = summaries(ARGV[i]), {}
  for k = 1, ARGV[1] ~= '' and #told or 0, 2 do series[#series + 1] = SERIES .. ARGV[i] .. ':' .. told[k] end
  local points = #series > 0 and redis.call('MGET', unpack(series)) or {}
  for k = 1, #points do points[k] = points[k] or '' end
  found[#found + 1] = {told, points}
end
return found

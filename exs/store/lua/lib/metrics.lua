-- The metrics of a job: what is known of each, and its points.
local function forget_metrics(id)
  local names = redis.pcall('HKEYS', METRICS .. id)
  for _, name in ipairs(names.err and {} or names) do redis.call('DEL', SERIES .. id .. ':' .. name) end
  if names.err or #names > 0 then redis.call('DEL', METRICS .. id) end
end

-- The segments of an experiment's list of jobs, in order: {key, base (index of its first job)}.
local function segments_of(name)
  local f = redis.pcall('HGETALL', EXPERIMENT .. name)
  local found = {}
  for i = 1, f.err and 0 or #f, 2 do
    local k = string.match(f[i], '^s:(%d+)$')
    local base = k and whole(f[i + 1])
    if base then found[#found + 1] = {key = JOBS .. name .. ':' .. k, base = base} end
  end
  table.sort(found, function(a, b) return a.base < b.base end)
  return found
end

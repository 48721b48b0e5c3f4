--@ time number
-- unused_gpus() -> {node, gpu, why, ...} of every GPU that gets no job. Writes nothing.
-- keys read: exs:unused
local rows = {}
local found = redis.pcall('HGETALL', UNUSED)
for i = 1, found.err and 0 or #found, 2 do
  local node, gpu = string.match(found[i], '^(.*)|([^|]*)$')
  local till, why = string.match(found[i + 1], '^(%d+)|(.*)$')
  if node and till and number(till) >= now_ms() then
    rows[#rows + 1] = node
    rows[#rows + 1] = gpu
    rows[#rows + 1] = why
  end
end
return rows

-- pools() -> {{pool, flat fields}, ...}: the pools that were set. Writes nothing.
-- keys read: exs:pools exs:pool
local rows = {}
for _, pool in ipairs(redis.call('SMEMBERS', POOLS)) do
  local fields = redis.pcall('HGETALL', POOL .. pool)
  if not fields.err then rows[#rows + 1] = {pool, fields} end
end
return rows

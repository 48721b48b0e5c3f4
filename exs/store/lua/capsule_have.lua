-- capsule_have(sha...) -> for each 1 if the chunk is there, else 0
-- keys: exs:chunk
local found = {}
for i, sha in ipairs(ARGV) do found[i] = redis.call('EXISTS', CHUNK .. sha) end
return found

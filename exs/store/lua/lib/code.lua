-- Which jobs of an experiment were pushed with other code than a push now sends.
local codes = {}

-- Whether a job whose Spec has the digest `sp` runs other code than one of `digest`, whose code is `code`. False where nobody
-- knows: where either has none that travelled, or was pushed by an exs that noted none.
local function older(name, sp, digest, code)
  if not sp or not code or sp == digest then return false end
  if codes[sp] == nil then codes[sp] = redis.call('HGET', CODES .. name, sp) end
  return codes[sp] and codes[sp] ~= code
end

-- {state, n, ...} of a table state -> n.
local function flat(counts)
  local found = {}
  for state, n in pairs(counts) do found[#found + 1] = state found[#found + 1] = n end
  return found
end

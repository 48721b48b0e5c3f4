-- Slots that a job of a shape takes: as many as it wants GPUs, and one at least; of alternatives, that which takes most.
local function slots_of(shape)
  local most = 1
  for gpus in string.gmatch(';' .. shape, ';(%d+)|') do most = math.max(most, tonumber(gpus)) end
  return most
end

-- Slots that a job of a shape takes: as many as it wants GPUs, and one at least.
local function slots_of(shape) return math.max(tonumber(string.match(shape, '^%d+')) or 1, 1) end

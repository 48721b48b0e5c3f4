--@ number
-- Slots looked at per call, at random where a pool has more: 2 ms.
local SLOTS = 300

-- What runs in a pool: {slot, id, at, exp, ix, wn, st, devices, memory, node}, of
-- each slot that all experiments may use and that is not silent.
local function held_in(pool, now)
  local found = {}
  local keys = redis.pcall('SRANDMEMBER', RQ_WORKERS .. ':' .. pool, SLOTS)
  for _, key in ipairs(keys.err and {} or keys) do
    local w = redis.pcall('HMGET', key, 'exs_at', 'current_job', 'exs_gpus', 'exs_memory', 'exs_node', 'exs_only')
    local j = not w.err and w[1] and w[2] and (w[6] or '') == '' and redis.pcall('HMGET', RQ_JOB .. w[2], 'at', 'origin', 'ix', 'st', 'wn')
    local lives = j and not j.err and j[1] == w[1] and j[2] and number(redis.call('ZSCORE', LEASES, w[2])) >= now
    if lives then
      found[#found + 1] = {slot = string.sub(key, #RQ_WORKER + 1), id = w[2], at = w[1], exp = string.match(j[2], '^[^~]*'),
        ix = number(j[3]), st = j[4], wn = j[5], devices = w[3] or '', memory = w[4] or '0', node = w[5] or '?'}
    end
  end
  return found
end

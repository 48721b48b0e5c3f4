--@ number
-- Slots that come free for jobs that wait, in pools in which jobs may be stopped to that end, so that no need takes two slots.
-- exs:coming:<pool> is SLOT -> JSON {at: the attempt that is to end there, '' when it has or when the slot was idle and woken;
-- ms: since when; devices, memory, node}.
-- ms within which a slot that has come free is believed to take what it was freed for, or its successor if it died.
local FREED = 5000

local function expect(pool, slot, c) redis.call('HSET', COMING .. pool, slot, cjson.encode(c)) end

-- Slots of a pool that come free, of those noted: what is over is forgotten. One that is silent is not counted on.
local function coming_in(pool, now)
  local found, flat = {}, redis.pcall('HGETALL', COMING .. pool)
  for i = 1, flat.err and 0 or #flat, 2 do
    local slot = flat[i]
    local good, c = pcall(cjson.decode, flat[i + 1])
    local w = redis.pcall('HMGET', RQ_WORKER .. slot, 'exs_at', 'current_job')
    local at = not w.err and w[1] or ''
    if not good or type(c) ~= 'table' or not c.ms or at ~= '' and at ~= c.at or c.at == '' and now - c.ms > FREED then
      redis.call('HDEL', COMING .. pool, slot)
    elseif at == '' then
      if c.at ~= '' then
        c.at, c.ms = '', now
        expect(pool, slot, c)
      end
      found[slot] = c
    elseif number(redis.call('ZSCORE', LEASES, w[2] or '')) >= now then
      found[slot] = c
    end
  end
  return found
end

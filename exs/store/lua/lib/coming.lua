--@ time number share drain
-- Slots that come free for jobs that wait, in pools in which jobs may be stopped to that end, so that no need takes two slots.
-- exs:coming:<pool> is SLOT -> JSON {at: the attempt that is to end there, '' when it has or when the slot was idle and woken;
-- ms: since when; devices, memory, node}.
-- ms within which a slot that has come free is believed to take what it was freed for, or its successor if it died.
local FREED = 5000

local function expect(pool, slot, c) redis.call('HSET', COMING .. pool, slot, cjson.encode(c)) end

-- The slots of a pool that come free, of those noted: what is over is forgotten, what is silent or drained not counted on.
local function coming_in(pool, now)
  local found, flat = {}, redis.pcall('HGETALL', COMING .. pool)
  local drains = redis.call('EXISTS', DRAINED) == 1
  for i = 1, flat.err and 0 or #flat, 2 do
    local slot = flat[i]
    local good, c = pcall(cjson.decode, flat[i + 1])
    local w = redis.pcall('HMGET', RQ_WORKER .. slot, 'exs_at', 'current_job', 'exs_with')
    local at = not w.err and (w[1] or w[3]) or ''
    if not good or type(c) ~= 'table' or not c.ms or at ~= '' and at ~= c.at or c.at == '' and now - c.ms > FREED then
      redis.call('HDEL', COMING .. pool, slot)
    else
      if at == '' and c.at ~= '' then
        c.at, c.ms = '', now
        expect(pool, slot, c)
      end
      local lives = at == '' or number(redis.call('ZSCORE', LEASES, w[2] or '')) >= now
      if lives and not (drains and drained(slot, c.node, now)) then found[#found + 1] = c end
    end
  end
  return found
end

-- Notes that a job which is asked to end makes room, for whatever reason that is.
local function expect_end(job)
  if job.noted then return end
  local pool = redis.pcall('HGET', EXPERIMENT .. job.exp, 'pool')
  if type(pool) ~= 'string' or not preempts(pool) or redis.call('HEXISTS', COMING .. pool, job.slot) == 1 then return end
  local w = redis.pcall('HMGET', RQ_WORKER .. job.slot, 'exs_gpus', 'exs_memory', 'exs_node', 'exs_only', 'exs_leaves')
  if w.err or w[5] or (w[4] or '') ~= '' then return end
  expect(pool, job.slot, {at = job.at, ms = now_ms(), devices = w[1] or '', memory = w[2] or '0', node = w[3] or '?'})
end

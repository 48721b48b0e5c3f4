--@ number ready state attempt drained elsewhere
-- The breaker's side of the slots. A slot remembers what it failed fast since its last success; when that are different jobs
-- of experiments that fare well elsewhere, the fault is its own: it is drained for a while, and they are queued again,
-- unpunished. If one of them fails in the same way on another slot all the same, the slot is given back at once, and that
-- job is blamed on no slot any more.
local REMEMBERED = 20 -- failures in a row that a slot remembers

local function successes(name)
  local n = 0
  for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do
    local done = redis.pcall('ZCARD', RQ_FINISHED .. queue)
    n = n + (type(done) == 'number' and done or 0)
  end
  return n
end

-- Whether a job of an experiment has run on another slot for longer than it took this one to fail.
local function survives(name, slot, seconds, now)
  for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do
    local held = redis.pcall('ZRANDMEMBER', RQ_WIP .. queue, REMEMBERED)
    for _, member in ipairs(held.err and {} or held) do
      local f = redis.pcall('HMGET', RQ_JOB .. string.match(member, '^[^:]*'), 'worker_name', 'started_at')
      if f[1] and f[1] ~= slot and now - ms_of(f[2]) > seconds * 1000 then return true end
    end
  end
  return false
end

-- Whether an experiment does well where a slot failed a job of it within so many seconds. One that has failed on another slot
-- since its last success does not, whatever it failed of.
local function fares_well(name, slot, seconds, now)
  local done = successes(name)
  local b = redis.pcall('HMGET', BREAKER .. name, 'done', 'first', 'others')
  if not b.err and whole(b[1]) == done and (b[3] or b[2] and b[2] ~= lasting(slot)) then return false end
  return done > 0 or survives(name, slot, seconds, now)
end

-- What a slot failed in a row: {job, experiment, alike}, the last ones.
local function failed_on(slot)
  local text = redis.call('HGET', RQ_WORKER .. slot, 'exs_failed')
  local good, list = pcall(cjson.decode, text or '[]')
  return good and type(list) == 'table' and list or {}
end

-- Puts back, unpunished, what a drained slot failed.
local function put_back_failed(list, slot, now)
  local touched = {}
  for i = #list, 1, -1 do
    local job = load(list[i][1])
    if job and (job.st == 'CRASHED' or job.st == 'QUEUED' and job.ra) then
      revive(job)
      redis.call('HSET', RQ_JOB .. job.id, 'qs', cjson.encode({slot, list[i][3]}))
      requeue(job, now)
      touched[job.exp] = true
    end
  end
  sync_all(touched)
end

-- Adds a fast failure to those of a slot; true when it is drained now.
local function blame_slot(job, o, slot, limits, now, pool)
  local list = failed_on(slot)
  local kept = {}
  for _, one in ipairs(list) do if one[1] ~= job.id then kept[#kept + 1] = one end end
  kept[#kept + 1] = {job.id, job.exp, o.alike}
  while #kept > REMEMBERED do table.remove(kept, 1) end
  local well, asked = 0, {}
  for _, one in ipairs(kept) do
    local name = one[2]
    if asked[name] == nil then asked[name] = fares_well(name, slot, tonumber(o.seconds) or 0, now) end
    if asked[name] then well = well + 1 end
  end
  local shape = redis.call('HGET', QUEUES .. job.exp, job.q) or ''
  if well < limits.slots or drained(slot, job.nd, now) or not fits_another(pool, shape, slot, now) then
    redis.call('HSET', RQ_WORKER .. slot, 'exs_failed', cjson.encode(kept))
    return false
  end
  redis.call('HDEL', RQ_WORKER .. slot, 'exs_failed')
  local why = #kept .. ' jobs in a row failed here at once, and their experiments fare well elsewhere; last: ' .. o.alike
  set_drained(lasting(slot), {why = why, by = 'breaker', at = now, kind = 'quarantine', ['until'] = now + limits.quarantine})
  put_back_failed(kept, slot, now)
  return true
end

-- Gives back a slot that was drained for what its jobs do elsewhere too. True when the failure is known to be the job's own.
local function clear_slot(job, alike, slot)
  local text = redis.call('HGET', RQ_JOB .. job.id, 'qs')
  local good, q = pcall(cjson.decode, text or 'null')
  if not good or type(q) ~= 'table' or type(q[1]) ~= 'string' or type(q[2]) ~= 'string' then return false end
  if q[1] == '' then return true end
  -- The class is enough: the last line of an output may have a word in it that is never the same.
  if q[1] == slot or string.match(q[2], '^[^:]*') ~= string.match(alike, '^[^:]*') then return false end
  redis.call('HSET', RQ_JOB .. job.id, 'qs', '["",""]')
  redis.call('HSET', BREAKER .. job.exp, 'own', alike)
  local good_drain, d = pcall(cjson.decode, redis.call('HGET', DRAINED, lasting(q[1])) or 'null')
  if good_drain and type(d) == 'table' and d.kind == 'quarantine' then end_drains({[lasting(q[1])] = true}) end
  return true
end

-- The first job of a queue, taken from it: its id and the fields that `read_claim` reads; nil when there is none. What is no job
-- of ours is dropped on the way and quarantined, a job that does not belong there is put back by reap; `junk` of them at most.
local function read_claim(id)
  return redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin', 'ra', 'an', 'ix', 'nm', 'pr', 'pt', 'sp', 'cm', 'fo', 'created_at', 'at', 'ck',
    'gp', 'sl')
end

-- Third: how many more may be dropped.
local function take(queue, now, junk)
  while junk > 0 do
    local id = redis.pcall('LPOP', RQ_QUEUE .. queue)
    if type(id) ~= 'string' then return nil, nil, junk end
    local f = read_claim(id)
    -- Files are named by it, where its outcome waits for Redis.
    local named = #id <= 64 and string.find(id, '^%w[%w._-]*$')
    if named and not f.err and f[1] == 'QUEUED' and f[2] == queue and not f[3] then return id, f, junk end
    junk = junk - 1
    local ours = named and not f.err and f[1] and (f[1] ~= 'QUEUED' or f[3])
    if ours then redis.call('ZADD', ASTRAY, now, id) end
    if not ours and redis.call('EXISTS', RQ_JOB .. id) == 1 then
      redis.call('ZADD', QUARANTINE, now, id)
      redis.call('ZREMRANGEBYRANK', QUARANTINE, 0, -QUARANTINED - 1)
    end
  end
  return nil, nil, junk
end

--@ time paths
-- renew(id, attempt, slot, lease_ms, directory, log, leaves) -> {ours|fenced|gone, want, known}
-- Prolongs a lease. A late lease that nobody ended is taken up again: late is not lost. known = 0 tells a slot
-- whose registration has expired to register anew. A slot may run on what is no longer its job (`on_lost: keep`): it is seen
-- all the same, and hears `kill` where the job was canceled.
-- keys: rq:job exs:leases rq:worker exs:node
local id, attempt, slot = ARGV[1], ARGV[2], ARGV[3]
local job, worker = RQ_JOB .. id, RQ_WORKER .. slot
local f = redis.pcall('HMGET', job, 'st', 'at', 'wn', 'nm', 'nd')
redis.call('DEL', NONE) -- a first write that frees: later ones pass on a full server without a shebang (M9, R4)
local now = now_ms()
if f[2] ~= attempt then
  local known = redis.call('HEXISTS', worker, 'birth')
  if known == 1 then
    redis.call('HSET', worker, 'last_heartbeat', iso(now))
    redis.call('EXPIRE', worker, WORKER_TTL)
  end
  return {f[1] and 'fenced' or 'gone', f[1] == 'CANCELED' and 'kill' or '', known}
end
redis.call('ZADD', LEASES, now + tonumber(ARGV[4]), id)
local directory, log = short_paths(f[4] or '', ARGV[5], ARGV[6])
redis.call('HSET', job, 'dr', directory, 'lg', log)
local known = redis.call('HEXISTS', worker, 'birth') -- claim may have noted the slot without it
if known == 1 then
  redis.call('HSET', worker, 'last_heartbeat', iso(now), 'state', 'busy', 'current_job', id, 'exs_at', attempt)
  if ARGV[7] == '1' then redis.call('HSET', worker, 'exs_leaves', 1) end
  redis.call('EXPIRE', worker, WORKER_TTL)
end
redis.call('EXPIRE', NODE .. (f[5] or ''), NODE_TTL)
return {'ours', f[3] or '', known}

--@ time number list ready state attempt lose
-- slot_dead(why, budget, wait_ms, wait_max_ms, slot1, ...) -> jobs put back
-- Their agent saw these slots die: what they held is lost now, without waiting for a lease; they leave the lists.
-- keys: rq:worker(s) exs:idle exs:wake and those of lose
local now = now_ms()
local n = 0
redis.call('DEL', 'exs:none') -- see renew
for i = 5, #ARGV do
  local slot = ARGV[i]
  local w = redis.pcall('HMGET', RQ_WORKER .. slot, 'current_job', 'exs_at', 'queues')
  local job = w[1] and load(w[1])
  if job and job.at and job.at == w[2] then
    lose(job, ARGV[1], now, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
    n = n + 1
  end
  for pool in string.gmatch(w[3] or '', '[^,]+') do
    redis.call('SREM', RQ_WORKERS .. ':' .. pool, RQ_WORKER .. slot)
    redis.call('HDEL', IDLE .. pool, slot)
  end
  redis.call('SREM', RQ_WORKERS, RQ_WORKER .. slot)
  redis.call('DEL', RQ_WORKER .. slot, WAKE .. slot)
end
return n

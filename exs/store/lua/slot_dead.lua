--@ time number list ready state attempt pause edit lose
-- slot_dead(why, failure, budget, wait_ms, wait_max_ms, slot1, ...) -> jobs put back
-- Their agent saw these slots die: what they held, or ran a part of, is lost now, without waiting for a lease; they
-- leave the lists.
-- failure: lost, or gpu when it was a GPU that failed.
-- keys: rq:worker(s) exs:idle exs:wake exs:slots exs:hold and those of lose
local now = now_ms()
local n = 0
local held = {}
redis.call('DEL', NONE) -- see renew
-- All leave the lists before any job is put back: it must wake none of them.
for i = 6, #ARGV do
  local slot = ARGV[i]
  local w = redis.pcall('HMGET', RQ_WORKER .. slot, 'current_job', 'exs_at', 'queues', 'exs_offer', 'exs_with', 'exs_node',
    'exs_hold')
  for pool in string.gmatch(w[3] or '', '[^,]+') do
    redis.call('SREM', RQ_WORKERS .. ':' .. pool, RQ_WORKER .. slot)
    if w[4] then redis.call('ZREM', IDLE .. pool .. ':' .. w[4], slot) end
  end
  redis.call('SREM', RQ_WORKERS, RQ_WORKER .. slot)
  redis.call('DEL', RQ_WORKER .. slot, WAKE .. slot)
  redis.call('SREM', NODE_SLOTS .. (w[6] or ''), slot)
  if w[7] then let_go(w[6] or '', slot) end
  if w[1] then held[#held + 1] = {w[1], w[2] or w[5]} end
end
for _, one in ipairs(held) do
  local job = load(one[1])
  if job and job.at and job.at == one[2] then
    lose(job, ARGV[1], now, tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[2])
    n = n + 1
  end
end
relieve_pressed()
return n

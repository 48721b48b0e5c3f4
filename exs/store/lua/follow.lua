--@ time number gang
-- follow(slot) -> {attempt, leader, job}, or nil when the slot is free: a mate asks whether its leader still runs what took it.
-- keys: rq:worker
local slot = ARGV[1]
local worker = RQ_WORKER .. slot
local w = redis.pcall('HMGET', worker, 'exs_with', 'exs_lead', 'current_job')
redis.call('DEL', NONE) -- see renew
local following = followed(slot, w[1], w[2], w[3])
if not following then return false end
redis.call('HSET', worker, 'state', 'busy', 'last_heartbeat', iso(now_ms()))
redis.call('EXPIRE', worker, WORKER_TTL)
return following

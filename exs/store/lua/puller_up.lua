--@ time
-- puller_up(slot, pool, node, boot, pid, start, version): lists a process that takes jobs of one pull experiment as a worker.
-- It leaves with slot_dead, or is forgotten WORKER_TTL after its last word. keys: rq:worker(s)
local worker, pool = RQ_WORKER .. ARGV[1], ARGV[2]
local at = iso(now_ms())
redis.call('HSET', worker, 'birth', at, 'last_heartbeat', at, 'queues', pool, 'pid', ARGV[5], 'hostname', ARGV[3],
  'exs_node', ARGV[3], 'exs_boot', ARGV[4], 'exs_gpus', '', 'exs_start', ARGV[6], 'exs_version', ARGV[7],
  'exs_only', string.sub(pool, #PULL_POOL + 1))
redis.call('HSETNX', worker, 'state', 'idle')
redis.call('SADD', RQ_WORKERS, worker)
redis.call('SADD', RQ_WORKERS .. ':' .. pool, worker)
redis.call('EXPIRE', worker, WORKER_TTL)
return 1

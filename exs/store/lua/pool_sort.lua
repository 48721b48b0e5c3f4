--@ time number ready
-- pool_sort(pool, after, limit) -> the score to go on from, nil when all are done
-- Puts the experiments of a pool where its scheduler wants them, `limit` queues at a time, one experiment at least, in the
-- order of the pool. One that is pushed or moved meanwhile is put there by the script that does it.
-- keys: exs:order exs:pool exs:exp exs:queues exs:ready exs:shapes rq:queue
local pool, after, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local touched, last = {}, false
local some = redis.call('ZRANGEBYSCORE', ORDER .. pool, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, left)
for i = 1, #some, 2 do
  touched[some[i]] = true
  left = left - math.max(redis.call('HLEN', QUEUES .. some[i]), 1)
  if left <= 0 then
    last = some[i + 1]
    break
  end
end
sync_all(touched)
return last

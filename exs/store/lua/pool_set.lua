-- pool_set(pool, field, value, ...) -> 1 if that changed anything: how the jobs of a pool are scheduled. `pool_sort` then
-- brings its experiments in line.
-- keys: exs:schema exs:pools exs:pool
local pool, changed = ARGV[1], 0
redis.call('SETNX', SCHEMA, SCHEMA_VERSION)
redis.call('SADD', POOLS, pool)
for i = 2, #ARGV, 2 do
  if redis.call('HGET', POOL .. pool, ARGV[i]) ~= ARGV[i + 1] then changed = 1 end
  redis.call('HSET', POOL .. pool, ARGV[i], ARGV[i + 1])
end
return changed

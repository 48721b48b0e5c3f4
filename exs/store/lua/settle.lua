--@ time number ready drift
-- settle(name, drift, pruned) -> 1 | 0: takes what stands in the lists and registries of NAME as its counts, after a look at
-- every job has put back what could be; unless `drift` has changed meanwhile, which wants another look.
-- keys: exs:exp exs:queues rq:* registries and those of sync
local name = ARGV[1]
local _, text = drift(name)
if text == '' or text ~= ARGV[2] then return 0 end
local found = standing(name)
redis.call('DEL', 'exs:none') -- see renew
local f = {'pruned', ARGV[3]}
for _, registry in ipairs(REGISTRIES) do f[#f + 1] = registry[2] f[#f + 1] = found[registry[2]] or 0 end
local jobs = number(redis.call('HGET', EXPERIMENT .. name, 'jobs'))
redis.call('HSET', EXPERIMENT .. name, 'astray', jobs - found.total, unpack(f))
sync(name)
return 1

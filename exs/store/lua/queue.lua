--@ number slots
-- queue(pool, limit, only1, ...) -> {{pool is known, its scheduler, names left}, {name, flat fields, acquired, needed, done}, ...};
-- of all experiments of the pool without names
-- The experiments of a pool that are not over, in scheduling order; `limit` are looked at per call. `acquired`: slots that run
-- jobs; `needed`: slots for all jobs that are not over, or as many of them as may run at once. Writes nothing.
-- keys read: exs:order exs:pool exs:exp exs:queues rq:workers rq:queue|wip|scheduled|deferred|finished
local pool, limit = ARGV[1], tonumber(ARGV[2])
local function count(command, key)
  local n = redis.pcall(command, key)
  return type(n) == 'number' and n or 0
end
local names = #ARGV > 2 and {unpack(ARGV, 3)} or redis.call('ZRANGE', ORDER .. pool, 0, -1)
local left = {}
for i = limit + 1, #names do left[#left + 1] = names[i] end
local known = redis.call('EXISTS', ORDER .. pool, POOL .. pool, RQ_WORKERS .. ':' .. pool)
local rows = {{known, redis.call('HGET', POOL .. pool, 'scheduler') or '', left}}

local function slots(name, most_jobs)
  local acquired, needed, done, widest = 0, 0, 0, 1
  local queues = redis.pcall('HGETALL', QUEUES .. name)
  for i = 1, queues.err and 0 or #queues, 2 do
    local queue, each = queues[i], slots_of(queues[i + 1])
    local running = count('ZCARD', RQ_WIP .. queue)
    acquired = acquired + each * running
    needed = needed + each * (running + count('LLEN', RQ_QUEUE .. queue) + count('ZCARD', RQ_SCHEDULED .. queue)
      + count('ZCARD', RQ_DEFERRED .. queue))
    done = done + count('ZCARD', RQ_FINISHED .. queue)
    widest = math.max(widest, each)
  end
  return acquired, math.min(needed, most_jobs * widest), done, needed > 0
end

for i = 1, math.min(#names, limit) do
  local name = names[i]
  local max = redis.pcall('HGET', EXPERIMENT .. name, 'max')
  local acquired, needed, done, active = slots(name, type(max) == 'string' and whole(max) or 2 ^ 31)
  local fields = active and redis.pcall('HGETALL', EXPERIMENT .. name)
  if fields and not fields.err and #fields > 0 then rows[#rows + 1] = {name, fields, acquired, needed, done} end
end
return rows

--@ time number ready segments metrics
-- remove_experiment(name, from, limit) -> -1 removed | -2 jobs are left | the index from which to look on: forgets an
-- experiment that has no jobs any more. RQ's tools can delete a job without our count: only jobs that are there keep it,
-- and `limit` places are looked at per call.
-- keys: exs:exp exs:queues exs:spec exs:spec-code exs:jobs exs:points exs:metrics exs:series exs:experiments exs:ids exs:order exs:last exs:ready rq:*
local name, from, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local e = redis.call('HMGET', EXPERIMENT .. name, 'jobs', 'id', 'pool')
if redis.call('EXISTS', EXPERIMENT .. name) == 0 then return -1 end
local segments = segments_of(name)
if number(e[1]) > 0 then
  for _, segment in ipairs(segments) do
    local length = redis.pcall('LLEN', segment.key)
    local first = math.max(from - segment.base, 0)
    if type(length) == 'number' and first < length then
      local ids = redis.call('LRANGE', segment.key, first, first + limit - 1)
      for _, id in ipairs(ids) do
        if id ~= '' and redis.call('TYPE', RQ_JOB .. id).ok == 'hash' then return -2 end
        if id ~= '' then
          redis.call('DEL', ATTEMPTS .. id, RQ_RESULTS .. id)
          forget_metrics(id)
        end
      end
      return segment.base + first + #ids
    end
  end
end
redis.call('HDEL', SPECS .. name, '') -- who may not write that (deploy/users.acl) is refused before anything is gone
redis.call('DEL', NONE) -- see renew
local pool = e[3] or ''
local queues = redis.call('HGETALL', QUEUES .. name)
for i = 1, #queues, 2 do
  local queue = queues[i]
  unset_ready(pool, queues[i + 1], queue)
  redis.call('SREM', RQ_QUEUES, RQ_QUEUE .. queue)
  redis.call('UNLINK', RQ_QUEUE .. queue, RQ_WIP .. queue, RQ_FINISHED .. queue, RQ_FAILED .. queue,
    RQ_CANCELED .. queue, RQ_SCHEDULED .. queue, RQ_DEFERRED .. queue)
  if queue ~= pool then redis.call('UNLINK', RQ_WORKERS .. ':' .. queue) end
end
for _, segment in ipairs(segments) do redis.call('UNLINK', segment.key) end
-- A job takes its point along; what is left in a bucket belongs to jobs that RQ's tools deleted, or to a push under way.
if redis.call('EXISTS', STAGE .. name) == 0 then
  for bucket = 0, 4095 do redis.call('UNLINK', POINTS .. name .. ':' .. string.format('%03x', bucket)) end
end
redis.call('UNLINK', EXPERIMENT .. name, MEND .. name, BREAKER .. name, QUEUES .. name, SPECS .. name, CODES .. name)
redis.call('ZREM', EXPERIMENTS, name)
if e[2] then redis.call('HDEL', IDS, e[2]) end
redis.call('ZREM', ORDER .. pool, name)
if redis.call('GET', LAST) == name then redis.call('DEL', LAST) end
return -1

--@ time number
-- discard(name, limit, older_than_ms, push) -> jobs still to discard; 0 when the stage is gone.
-- Takes back a push that was never committed, `limit` jobs at a time: one silent for that long, or `push` itself. Touches nothing that is committed.
-- keys: exs:stage(s) exs:points exs:jobs rq:job rq:queue
local name, limit = ARGV[1], tonumber(ARGV[2])
local key = STAGE .. name
local f = redis.call('HGETALL', key)
if #f == 0 then
  redis.call('ZREM', STAGES, name)
  return 0
end
local stage, queues = {}, {}
for i = 1, #f, 2 do
  stage[f[i]] = f[i + 1]
  local queue = string.match(f[i], '^q:(.+)$')
  if queue then queues[#queues + 1] = queue end
end
local now = now_ms()
if stage.push ~= 'discard' and stage.push ~= ARGV[4] and now - number(stage.at) < tonumber(ARGV[3]) then return 0 end
redis.call('DEL', NONE) -- see renew
redis.call('HSET', key, 'push', 'discard', 'at', now)
local left = 0
for _, queue in ipairs(queues) do
  while limit > 0 do
    local id = redis.call('RPOP', RQ_QUEUE .. queue)
    if not id then break end
    local point = redis.call('HGET', RQ_JOB .. id, 'pt')
    if point then redis.call('HDEL', POINTS .. name .. ':' .. string.sub(point, 1, 3), point) end
    redis.call('DEL', RQ_JOB .. id)
    limit = limit - 1
  end
  left = left + redis.call('LLEN', RQ_QUEUE .. queue)
end
if left == 0 then
  redis.call('UNLINK', key, JOBS .. name .. ':' .. (stage.segment or ''))
  redis.call('ZREM', STAGES, name)
end
return left

--@ time number list ready state attempt drift mend
-- mend_marked(name, limit) -> {mended, 1 if that left something to `mend`, else 0}: puts back the jobs of NAME that RQ's clients gave away by a mark of
-- theirs: a score of its own, a list of its own, an end of a list. At most `limit` per mark and queue.
-- keys: exs:queues rq:* exs:leases exs:later exs:strangers and those of sync
local name, limit = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local mended = 0
redis.call('DEL', NONE) -- see renew

local function try(id)
  if mend(id, now) then mended = mended + 1 end
end

local function read(...)
  local found = redis.pcall(...)
  return found.err and {} or found
end

-- An entry of RQ's started registry is `ID:EXECUTION`; one that is not the attempt that holds the job is a stock worker's.
local function started(queue)
  for _, member in ipairs(read('ZRANGEBYSCORE', RQ_WIP .. queue, '-inf', '+inf', 'LIMIT', 0, 1000)) do
    local id, attempt = string.match(member, '^(.-):(.*)$')
    local job = id and load(id)
    if id and (job and job.at ~= attempt or not job and redis.call('EXISTS', RQ_JOB .. id) == 0) then
      redis.call('ZREM', RQ_WIP .. queue, member)
      redis.call('DEL', RQ_EXECUTIONS .. id, RQ_EXECUTION .. id .. ':' .. attempt)
      try(id)
    end
  end
end

local function at_ends(queue)
  local key = RQ_QUEUE .. queue
  for _, ends in ipairs({{0, limit - 1}, {-limit, -1}}) do
    for _, id in ipairs(read('LRANGE', key, ends[1], ends[2])) do
      local job = load(id)
      if job and (job.st ~= 'QUEUED' or job.ra) and job.q == queue then
        redis.call('LREM', key, ends[1] == 0 and 1 or -1, id)
        try(id)
      end
    end
  end
end

for _, queue in ipairs(queues_of(name)) do
  started(queue)
  for _, id in ipairs(read('ZRANGEBYSCORE', RQ_FAILED .. queue, 0, '+inf', 'LIMIT', 0, limit)) do try(id) end
  for _, id in ipairs(read('LRANGE', RQ_QUEUE .. queue .. RQ_INTERMEDIATE, 0, limit - 1)) do try(id) end
  at_ends(queue)
end
sync(name)
return {mended, (drift(name) or redis.call('EXISTS', MEND .. name) == 1) and 1 or 0}

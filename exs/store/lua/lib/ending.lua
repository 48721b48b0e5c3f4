-- For a slot whose time is limited: which queues it leaves to others.
local ENDING_SEEN = 200 -- queues of a shape that one claim looks at

-- Whether the job at the head of a queue may run longer, by its `timeout`, than the slot has left.
local function outlasts(queue, left)
  local id = redis.pcall('LINDEX', RQ_QUEUE .. queue, 0)
  local digest = type(id) == 'string' and redis.pcall('HGET', RQ_JOB .. id, 'sp')
  local text = type(digest) == 'string' and redis.pcall('HGET', SPECS .. experiment_of(queue), digest)
  local read, spec = pcall(cjson.decode, type(text) == 'string' and text or '')
  local timeout = read and type(spec) == 'table' and tonumber(spec.timeout)
  return timeout and timeout > left
end

-- The first ready queue of a pool's shape, and its score, that the slot can still finish; nil for none.
local function first_to_finish(key, left)
  local found = redis.call('ZRANGE', key, 0, ENDING_SEEN - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    if not outlasts(found[i], left) then return found[i], found[i + 1] end
  end
end

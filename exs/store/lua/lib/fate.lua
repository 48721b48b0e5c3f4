-- What becomes of a job that failed. The policy of its sweep comes with the outcome: `after`, at most `again` times for
-- `kind`; without one, its retries decide.
-- A job whose `om` is set went to a slot with more memory before; `rk` counts by kind.

local function experiment_fields(name)
  local names = {'retries', 'canary', 'breaker', 'paused', 'pool', 'kind'}
  local f = redis.pcall('HMGET', EXPERIMENT .. name, unpack(names))
  local found = {}
  for i, field in ipairs(names) do found[field] = not f.err and f[i] or nil end
  return found
end

-- How often a job ran again for a reason of this kind, and the field that says once more.
local function repeats(job, kind)
  local text = redis.call('HGET', RQ_JOB .. job.id, 'rk')
  local good, counts = pcall(cjson.decode, text or '{}')
  if not good or type(counts) ~= 'table' then counts = {} end
  local n = type(counts[kind]) == 'number' and counts[kind] or 0
  counts[kind] = n + 1
  return n, cjson.encode(counts)
end

local function pause_between(n, limits) return math.min(limits.wait * 2 ^ n, limits.longest) end

-- nil when it is over, else {fields (to store), wait (ms), shape (of another queue), pause (why its experiment is paused)}.
local function fate(job, o, e, limits)
  if o.after == 'fail' then return nil end
  local shape = redis.call('HGET', QUEUES .. job.exp, job.q) or ''
  local elsewhere = o.exclude_node and shape_without_node(shape, job.nd)
  if o.after == 'pause' then
    local why = 'on_failure of ' .. o.kind .. ': job ' .. job.exp .. '/' .. job.ix .. ': ' .. (o.detail or '')
    return {fields = {'ls', job.ls}, wait = 0, pause = why}
  end
  if o.device_memory then
    local larger = with_more_memory(job, shape, tonumber(o.gpu_memory) or 0, e.pool or '')
    if larger then
      local told = string.format('%s; goes to a slot with more than %.4g GiB', o.detail or '', o.gpu_memory / 2 ^ 30)
      return {fields = {'om', o.gpu_memory, 'fd', told}, wait = 0, shape = elsewhere and shape_without_node(larger, job.nd) or larger}
    end
  end
  if type(o.again) == 'number' then
    local n, counts = repeats(job, o.kind)
    if n >= o.again then return nil end
    return {fields = {'rk', counts}, wait = whole(e.canary) and 0 or pause_between(n, limits), shape = elsewhere}
  end
  if o.after == 'requeue' then
    if job.ls + 1 >= limits.budget then return nil end
    return {fields = {'ls', job.ls + 1}, wait = job.ls == 0 and 0 or pause_between(job.ls - 1, limits), shape = elsewhere}
  end
  if job.rt >= number(e.retries) then return nil end
  -- A canary waits for nothing: another job would take its place meanwhile.
  return {fields = {'rt', job.rt + 1}, wait = whole(e.canary) and 0 or pause_between(job.rt, limits), shape = elsewhere}
end

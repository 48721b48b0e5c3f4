--@ time number segments
-- jobs(name, first, last, limit) -> {now_ms, next or -1, {id, lease_end or '', flat fields, {}}, ...}
-- jobs(name, first, last, limit, n, metric1, ..., field1, ...)
--   -> {now_ms, next or -1, {id, lease_end or '', values, summaries}, ...}
-- The jobs of an experiment by index, from `first` to `last` (-1: to the end), `limit` at a time; `next` is where the
-- next call starts. Of each job those fields, of which the first is st, and what is known of `n` metrics; without a
-- field all, flat. Writes nothing. keys read: exs:exp exs:jobs exs:metrics rq:job exs:leases
local name, first, last, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local metrics = tonumber(ARGV[5] or 0)
local chosen = #ARGV > 5 + metrics
local rows = {now_ms(), -1}
local function fields_of(id)
  if id == '' then return {} end
  local key = RQ_JOB .. id
  local f = chosen and redis.pcall('HMGET', key, unpack(ARGV, 6 + metrics)) or redis.pcall('HGETALL', key)
  return f.err and {} or f
end
local function summaries_of(id)
  local told = metrics > 0 and redis.pcall('HMGET', METRICS .. id, unpack(ARGV, 6, 5 + metrics)) or {}
  return told.err and {} or told
end
local function add(ids)
  local leases = #ids > 0 and redis.pcall('ZMSCORE', LEASES, unpack(ids)) or {}
  for i, id in ipairs(ids) do
    local fields = fields_of(id)
    if fields[1] or id ~= '' and redis.call('EXISTS', RQ_JOB .. id) == 1 then
      rows[#rows + 1] = {id, not leases.err and leases[i] or '', fields, summaries_of(id)}
    end
  end
end
for _, segment in ipairs(segments_of(name)) do
  local base = segment.base
  local length = redis.pcall('LLEN', segment.key)
  if type(length) ~= 'number' then length = 0 end
  local from = math.max(first - base, 0)
  local to = last < 0 and length - 1 or math.min(last - base, length - 1)
  if from <= to then
    if to - from + 1 > limit then to = from + limit - 1 end
    add(redis.call('LRANGE', segment.key, from, to))
    limit = limit - (to - from + 1)
    local reached = base + to + 1
    if limit <= 0 then
      if last < 0 or reached <= last then rows[2] = reached end
      return rows
    end
  end
end
return rows

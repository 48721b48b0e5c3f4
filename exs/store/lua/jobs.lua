--@ time number segments
-- jobs(name, first, last, limit, field1, ...) -> {now_ms, next or -1, {id, lease_end or '', values ...}, ...}
-- The jobs of an experiment by index, from `first` to `last` (-1: to the end), `limit` at a time; `next` is where the
-- next call starts. Writes nothing. keys read: exs:exp exs:jobs rq:job exs:leases
local name, first, last, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local fields = {}
for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
local rows = {now_ms(), -1}
local function add(id)
  local values = redis.pcall('HMGET', RQ_JOB .. id, unpack(fields))
  if values.err then values = {false} end
  if values[1] or redis.call('EXISTS', RQ_JOB .. id) == 1 then
    for i = #values + 1, #fields do values[i] = false end
    local lease = values[1] == 'RUNNING' and redis.call('ZSCORE', LEASES, id)
    rows[#rows + 1] = {id, lease or '', unpack(values)}
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
    for _, id in ipairs(redis.call('LRANGE', segment.key, from, to)) do
      if id ~= '' then add(id) end
    end
    limit = limit - (to - from + 1)
    local reached = base + to + 1
    if limit <= 0 then
      if last < 0 or reached <= last then rows[2] = reached end
      return rows
    end
  end
end
return rows

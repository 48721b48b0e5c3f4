--@ number segments
-- states(name, from, limit) -> {next or -1, index of the first, {id or '', ...}, {state or '', ...}}: the jobs of NAME from
-- that index on, at most `limit` of one segment; '' where there is none. Writes nothing. keys read: exs:exp exs:jobs rq:job
local from, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
for _, segment in ipairs(segments_of(ARGV[1])) do
  local length = redis.pcall('LLEN', segment.key)
  local first = math.max(from - segment.base, 0)
  if type(length) == 'number' and first < length then
    local ids, states = redis.call('LRANGE', segment.key, first, first + limit - 1), {}
    for i, id in ipairs(ids) do
      local state = id ~= '' and redis.pcall('HGET', RQ_JOB .. id, 'st')
      states[i] = type(state) == 'string' and state or ''
    end
    return {segment.base + math.min(first + limit, length), segment.base + first, ids, states}
  end
end
return {-1, from, {}, {}}

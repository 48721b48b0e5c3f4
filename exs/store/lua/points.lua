-- points(name, user, source, into, point1, ...) -> {code, jobs, flat {state, n}}: what a push would find. Writes nothing.
-- codes: ok | taken user source | kind. keys read: exs:exp exs:points rq:job
local name = ARGV[1]
local e = redis.call('HMGET', EXPERIMENT .. name, 'user', 'source', 'jobs', 'archived')
if e[4] == '1' then return {'archived'} end
if e[1] and ARGV[4] ~= '1' and (e[1] ~= ARGV[2] or e[2] ~= ARGV[3]) then return {'taken', e[1], e[2]} end
local counts, new = {}, 0
for i = 5, #ARGV do
  local id = redis.call('HGET', POINTS .. name .. ':' .. string.sub(ARGV[i], 1, 3), ARGV[i])
  local state = id and redis.call('HGET', RQ_JOB .. id, 'st')
  if state and e[1] then counts[state] = (counts[state] or 0) + 1 else new = new + 1 end
end
local flat = {}
for state, n in pairs(counts) do flat[#flat + 1] = state flat[#flat + 1] = n end
return {'ok', new, tonumber(e[3] or 0), flat, {}, {}}

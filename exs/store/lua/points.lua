--@ number code
-- points(name, user, source, into, spec digest, code, point1, ...) -> {code, ...}: what a push would find. Writes nothing.
-- `code`: digest of the code that the push would send, '' for none.
-- codes: ok, then new jobs {state, n ...} {} {} '' {state, n of them with other code ...} 0 | taken user source | kind | archived
-- keys read: exs:exp exs:points exs:queues exs:spec-code rq:job
local name, digest, code = ARGV[1], ARGV[5], ARGV[6] ~= '' and ARGV[6]
local e = redis.call('HMGET', EXPERIMENT .. name, 'user', 'source', 'jobs', 'archived', 'kind')
if e[1] and e[5] ~= 'run' then return {'kind', e[5]} end
if e[4] == '1' then return {'archived'} end
if e[1] and ARGV[4] ~= '1' and (e[1] ~= ARGV[2] or e[2] ~= ARGV[3]) then return {'taken', e[1], e[2]} end
local counts, other, new, committed = {}, {}, 0, {}
local queues = redis.call('HKEYS', QUEUES .. name)
for _, queue in ipairs(queues) do committed[queue] = true end
for i = 7, #ARGV do
  local id = redis.call('HGET', POINTS .. name .. ':' .. string.sub(ARGV[i], 1, 3), ARGV[i])
  local f = id and redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin', 'sp') or {}
  if f[1] and committed[f[2]] then
    counts[f[1]] = (counts[f[1]] or 0) + 1
    if older(name, f[3], digest, code) then other[f[1]] = (other[f[1]] or 0) + 1 end
  else
    new = new + 1
  end
end
return {'ok', new, number(e[3]), flat(counts), {}, {}, '', flat(other), 0}

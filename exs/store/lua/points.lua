--@ number
-- points(name, user, source, into, point1, ...) -> {code, ...}: what a push would find. Writes nothing.
-- codes: ok, then new jobs {state, n ...} {} {} '' | taken user source | archived. keys read: exs:exp exs:points exs:queues rq:job
local name = ARGV[1]
local e = redis.call('HMGET', EXPERIMENT .. name, 'user', 'source', 'jobs', 'archived')
if e[4] == '1' then return {'archived'} end
if e[1] and ARGV[4] ~= '1' and (e[1] ~= ARGV[2] or e[2] ~= ARGV[3]) then return {'taken', e[1], e[2]} end
local counts, new = {}, 0
for i = 5, #ARGV do
  local id = redis.call('HGET', POINTS .. name .. ':' .. string.sub(ARGV[i], 1, 3), ARGV[i])
  local f = id and redis.pcall('HMGET', RQ_JOB .. id, 'st', 'origin') or {}
  if f[1] and redis.call('HEXISTS', QUEUES .. name, f[2] or '') == 1 then
    counts[f[1]] = (counts[f[1]] or 0) + 1
  else
    new = new + 1
  end
end
local flat = {}
for state, n in pairs(counts) do flat[#flat + 1] = state flat[#flat + 1] = n end
return {'ok', new, number(e[3]), flat, {}, {}, ''}

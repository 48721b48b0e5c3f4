--@ metrics
-- report(id, attempt, whole, progress, status, checkpoint, result, last values, {name, summary, base, points} ...)
--   -> ours | fenced | gone | again
-- What the attempt that holds the job tells of it; '' is nothing new. A metric's points go behind the first `base` bytes of
-- those that are there, which makes a repeated call harmless; base 0 begins anew. `whole`: with all that was told before;
-- what other attempts told of metrics is forgotten then. `again`: Redis has not what this builds upon, send it whole.
-- No `DEL` in front as in renew: on a full server this is refused, and finish is not.
-- keys: rq:job exs:metrics exs:series
local id, attempt, whole = ARGV[1], ARGV[2], ARGV[3] == '1'
local job = redis.pcall('HMGET', RQ_JOB .. id, 'st', 'at')
if job[2] ~= attempt then return job[1] and 'fenced' or 'gone' end
local fields = {}
for i, name in ipairs({'pg', 'ss', 'ck', 'rs', 'mt'}) do
  if ARGV[3 + i] ~= '' then fields[#fields + 1] = name fields[#fields + 1] = ARGV[3 + i] end
end
if #fields > 0 then redis.call('HSET', RQ_JOB .. id, unpack(fields)) end

local from = redis.pcall('HGET', METRICS .. id, '')
if from ~= attempt then
  if not whole then return #ARGV > 8 and 'again' or 'ours' end
  if from then forget_metrics(id) end
  if ARGV[8] == '' then redis.call('HDEL', RQ_JOB .. id, 'mt') end
end
local told, answer = {'', attempt}, 'ours'
for i = 9, #ARGV, 4 do
  local series, base = SERIES .. id .. ':' .. ARGV[i], tonumber(ARGV[i + 2])
  if base == 0 then
    redis.call('SET', series, ARGV[i + 3])
  elseif redis.call('STRLEN', series) >= base then
    redis.call('SETRANGE', series, base, ARGV[i + 3])
  else
    answer = 'again'
  end
  told[#told + 1] = ARGV[i]
  told[#told + 1] = ARGV[i + 1]
end
if #told > 2 then redis.call('HSET', METRICS .. id, unpack(told)) end
return answer

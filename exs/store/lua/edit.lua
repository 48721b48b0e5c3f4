--@ time number list ready state attempt edit
-- edit(id, point, digest, edit JSON, spec JSON) -> {code, what}: other parameters or another command for a job, see lib/edit.lua.
-- Its point and the digest of its Spec are those that the caller knows: the new Spec was made from that one, and keeps its code.
-- One that runs is asked to stop, and runs anew as edited when it has.
-- codes: edited | asked | same | duplicate index | pending | changed | ending | over state | missing
-- keys: rq:job exs:queues exs:points exs:spec exs:spec-code exs:attempts
local id, text = ARGV[1], ARGV[4]
local job = load(id)
if not job or not committed(job) then return {'missing', ''} end
local e = cjson.decode(text)
local f = redis.call('HMGET', RQ_JOB .. id, 'pt', 'nm', 'pr', 'sp', 'ed')
if f[5] and job.at then return {f[5] == text and 'asked' or 'pending', ''} end
if f[1] == e.pt and f[2] == e.nm and f[3] == e.pr and f[4] == e.sp then return {'same', ''} end
if f[1] ~= ARGV[2] or (f[4] or '') ~= ARGV[3] then return {'changed', ''} end
if job.st ~= 'QUEUED' and job.st ~= 'PAUSED' and not job.at then return {'over', job.st} end
if job.at and unwanted(job) then return {'ending', ''} end
local other = point_taken(job, e.pt)
if other then return {'duplicate', redis.call('HGET', RQ_JOB .. other, 'ix') or ''} end
redis.call('HSET', SPECS .. job.exp, e.sp, ARGV[5])
local code = redis.call('HGET', CODES .. job.exp, f[4] or '')
if code then redis.call('HSET', CODES .. job.exp, e.sp, code) end
if job.at then
  take_point(job, e.pt)
  redis.call('HSET', RQ_JOB .. id, 'ed', text)
  ask(job, 'edit')
  return {'asked', ''}
end
rewrite(job, e)
return {'edited', ''}

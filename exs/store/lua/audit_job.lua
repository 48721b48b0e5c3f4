--@ time number list ready state
-- audit_job(id) -> {state or '', {where it stands, a list once per occurrence}}: one look at every place it can stand in.
-- Writes nothing. keys read: rq:job rq:queue rq:* registries exs:leases exs:later
local id = ARGV[1]
local job = load(id)
if not job then return {'', {}} end
local places = {}
local function note(place, command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and not reply.err then
    for _ = 1, #reply do places[#places + 1] = place end
  elseif reply and type(reply) ~= 'table' then
    places[#places + 1] = place
  end
end
note('queue', 'LPOS', RQ_QUEUE .. job.q, id, 'COUNT', 0)
note('wip', 'ZSCORE', RQ_WIP .. job.q, id .. ':' .. (job.at or ''))
note('lease', 'ZSCORE', LEASES, id)
note('later', 'ZSCORE', LATER, id)
for place, key in pairs({finished = RQ_FINISHED, failed = RQ_FAILED, canceled = RQ_CANCELED, deferred = RQ_DEFERRED,
  scheduled = RQ_SCHEDULED}) do note(place, 'ZSCORE', key .. job.q, id) end
return {redis.call('HGET', RQ_JOB .. id, 'st'), places}

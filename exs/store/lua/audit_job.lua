--@ time ready state
-- audit_job(id) -> {state or '', {where it stands}}: every list and registry of its queue that holds this job. Writes nothing.
local id = ARGV[1]
local job = load(id)
if not job then return {'', {}} end
local places = {}
if redis.call('LPOS', RQ_QUEUE .. job.q, id) then places[#places + 1] = 'queue' end
if job.at and redis.call('ZSCORE', RQ_WIP .. job.q, id .. ':' .. job.at) then places[#places + 1] = 'wip' end
if redis.call('ZSCORE', LEASES, id) then places[#places + 1] = 'lease' end
if redis.call('ZSCORE', LATER, id) then places[#places + 1] = 'later' end
for place, key in pairs({finished = RQ_FINISHED, failed = RQ_FAILED, canceled = RQ_CANCELED, deferred = RQ_DEFERRED, scheduled = RQ_SCHEDULED}) do
  if redis.call('ZSCORE', key .. job.q, id) then places[#places + 1] = place end
end
return {job.st, places, job.q}

-- Whether a job whose lease is late is lost: late is not lost.
-- One field of a key; the same key is not asked twice: a thousand late jobs have few nodes and experiments.
local asked = {}
local function field(key, name)
  local value = asked[key]
  if value == nil then
    value = redis.pcall('HGET', key, name)
    value = type(value) == 'string' and value
    asked[key] = value
  end
  return value or nil
end

-- How long nothing need be heard of a job, in ms. p: {lease, base, share (of its run time so far), most}.
local function lost_after(job, now, p)
  local base = whole(field(EXPERIMENT .. job.exp, 'lost')) or p.base
  return math.max(base, math.min((now - ms_of(job.t0)) * p.share, p.most))
end

-- Why a job that has been silent for so many ms beyond its lease is lost; nil when it is not.
local function verdict(job, silent, now, p)
  local boot = field(NODE .. job.nd, 'boot')
  if boot and boot ~= job.bt then return 'node ' .. job.nd .. ' has restarted' end
  if silent >= lost_after(job, now, p) then
    return 'no word from ' .. job.nd .. ' for ' .. math.floor((silent + p.lease) / 1000) .. ' s'
  end
end

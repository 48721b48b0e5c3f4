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

-- What a verdict needs of a job, a third of what `load` costs; nil when nobody holds it.
local function held_by(id)
  local f = redis.pcall('HMGET', RQ_JOB .. id, 'at', 'origin', 'nd', 'bt', 'started_at')
  return not f.err and f[1] and f[2] and {exp = experiment_of(f[2]), nd = f[3] or '?', bt = f[4], t0 = f[5]} or nil
end

-- Why a job that has been silent for so many ms beyond its lease is lost; nil when it is not.
-- p, in ms: {lease, base, share (of its run time so far, no ms), most (that the share comes to)}.
local function verdict(job, silent, now, p)
  local boot = field(NODE .. job.nd, 'boot')
  if boot and boot ~= job.bt then return 'node ' .. job.nd .. ' has restarted' end
  local base = whole(field(EXPERIMENT .. job.exp, 'lost')) or p.base
  if silent >= base and silent >= math.min((now - ms_of(job.t0)) * p.share, p.most) then
    return 'no word from ' .. job.nd .. ' for ' .. math.floor((silent + p.lease) / 1000) .. ' s'
  end
end

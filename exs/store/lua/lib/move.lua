-- Moving a job inside its experiment (see beside.lua).
-- What stands first of an experiment: its place; nil when nothing else waits.
local function first_place(name, without)
  local first
  for _, queue in ipairs(redis.call('HKEYS', QUEUES .. name)) do
    for _, id in ipairs(redis.call('LRANGE', RQ_QUEUE .. queue, 0, 1)) do
      local at = id ~= without and stands_at(id)
      if at then first = math.min(first or at, at) break end
    end
  end
  return first
end

-- One that runs or is over, or whose turn comes as soon as it may run again, stands before all that wait.
local function first_then(anchor) return anchor.at or anchor.ra or anchor.st ~= 'QUEUED' and anchor.st ~= 'PAUSED' end

local function take_out(job)
  if job.st ~= 'QUEUED' then return end
  unlist(job.q, job.id, job.po)
  drop_blanks()
end

local function put_at(job, place)
  set_place(job.id, place)
  if job.st == 'QUEUED' then insert(job.q, job.id, stands_at(job.id)) end
  return true
end

local function put_first(job)
  local first = first_place(job.exp, job.id)
  if not first or first > job.po then return false end
  take_out(job)
  return put_at(job, math.floor(first) - 1)
end

-- Moves a job next to an anchor of its experiment, or before all without one. Only what waits has a place to leave; false when
-- it stands there already.
local function move_job(job, anchor, side)
  if job.at or job.ra or job.st ~= 'QUEUED' and job.st ~= 'PAUSED' or anchor and anchor.id == job.id then return false end
  if not anchor or first_then(anchor) then return put_first(job) end
  local low, high, tied = gap(anchor, anchor.po, side, job.id)
  if not tied and low < job.po and job.po < high then return false end
  take_out(job)
  if tied or high - low < 4 * STEP then
    renumber(anchor, job.id)
    low, high = gap(anchor, stands_at(anchor.id), side, job.id)
  end
  return put_at(job, (low + high) / 2)
end

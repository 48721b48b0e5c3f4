-- Other parameters or another command for a job, under the same id. `e`: {nm, pr, pt, sp}. A job that runs keeps them in its
-- field `ed` until its attempt has ended, whatever ended it.
-- What earlier attempts left stays where it is: their records name their directories, which are else told by the job's name.
local function keep_directories(job)
  local key = ATTEMPTS .. job.id
  for i, text in ipairs(redis.call('LRANGE', key, 0, -1)) do
    local good, record = pcall(cjson.decode, text)
    local directory = good and type(record) == 'table' and record.directory
    if type(directory) == 'string' and string.sub(directory, -1) == '/' then
      record.directory = directory .. job.nm
      redis.call('LSET', key, i - 1, cjson.encode(record))
    end
  end
end

-- An edit as it was noted; nil for what is none of ours.
local function edit_of(text)
  local good, e = pcall(cjson.decode, text)
  local function is(field) return type(e[field]) == 'string' end
  return good and type(e) == 'table' and is('nm') and is('pr') and is('pt') and is('sp') and e or nil
end

-- Whether another job of the experiment has this point; its id, or nil.
local function point_taken(job, point)
  local other = point ~= '' and redis.call('HGET', POINTS .. job.exp .. ':' .. string.sub(point, 1, 3), point)
  return other and other ~= job.id and redis.call('EXISTS', RQ_JOB .. other) == 1 and other or nil
end

local function take_point(job, point)
  if point ~= '' then redis.call('HSET', POINTS .. job.exp .. ':' .. string.sub(point, 1, 3), point, job.id) end
end

local function leave_point(job, point)
  local bucket = POINTS .. job.exp .. ':' .. string.sub(point or '', 1, 3)
  if point and point ~= '' and redis.call('HGET', bucket, point) == job.id then redis.call('HDEL', bucket, point) end
end

-- A job that nobody holds begins anew: no retry used, no checkpoint, every command.
local function rewrite(job, e)
  local key = RQ_JOB .. job.id
  local old = redis.call('HGET', key, 'pt')
  if old ~= e.pt then leave_point(job, old) end
  take_point(job, e.pt)
  remember(job)
  keep_directories(job)
  redis.call('HDEL', key, 'rt', 'ls', 'ck', 'pg', 'ss', 'mt', 'fc', 'fd', 'xc', 'sg', 'tl', 'rs', 'rm', 'gm', 'gu', 'lx', 'dr', 'lg', 'exc_info', 'description')
  redis.call('HSET', key, 'nm', e.nm, 'pr', e.pr, 'pt', e.pt, 'sp', e.sp)
  if job.an > 0 then redis.call('HSET', key, 'fo', 1) end
end

-- Does what was asked of a job while it ran, if anything.
local function apply_edit(job)
  local text = redis.call('HGET', RQ_JOB .. job.id, 'ed')
  if not text then return end
  redis.call('HDEL', RQ_JOB .. job.id, 'ed')
  local e = edit_of(text)
  if e then rewrite(job, e) end
end

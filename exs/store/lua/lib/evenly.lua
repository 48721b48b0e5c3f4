--@ number shape share victims coming ask
-- Preemption in a fair-share pool: a slot is taken from who has most of what it may have, for one that has less, where that
-- leaves the first no worse off than the second; and for one that has nothing, from who has two or more.
-- What an experiment has, those that are asked to end apart, and by what that counts.
local function share_in(name)
  local e = redis.pcall('HMGET', EXPERIMENT .. name, 'running', 'max', 'canary', 'weight', 'preemptible')
  local limit, running = most(e[2], e[3]) or 2 ^ 53, number(e[1])
  local _, queued = lengths_of(name)
  local one = {unfit = {}, per = weight_of(e[4]) * math.max(math.min(queued + running, limit), 1),
    room = math.max(limit - running, 0)}
  local jobs = running > 0 and running_of(name, 0) or {}
  one.has, one.list = #jobs, e[5] ~= '0' and jobs or {}
  return one
end

-- The next job of an experiment whose slot fits a shape.
local function next_fitting(pool, one, shape, now)
  for _, job in ipairs(one.list) do
    if job.helps == nil then job.helps = would_help(pool, job, now) end
    if job.helps and not job.taken and fits(shape, job.devices, job.memory, job.node) then return job end
  end
  one.unfit[shape] = true
end

-- Who gives a slot to `to`, and which job; nil for nobody.
local function giver(pool, shares, to, shape, now)
  while true do
    local most_of_all
    for _, one in pairs(shares) do
      local fair = (one.has - 1) / one.per >= (to.has + 1) / to.per or to.has == 0 and one.has >= 2
      if one ~= to and fair and not one.unfit[shape] and (not most_of_all or one.has / one.per > most_of_all.has / most_of_all.per) then
        most_of_all = one
      end
    end
    if not most_of_all then return nil end
    local job = next_fitting(pool, most_of_all, shape, now)
    if job then return most_of_all, job end
  end
end

-- The shares of all that run or wait in a pool, so many of them.
local SHARES = 100
local function shares_of(pool, wants)
  local shares, n = {}, 0
  for _, want in ipairs(wants) do shares[want.exp] = shares[want.exp] or share_in(want.exp) end
  for _, name in ipairs(redis.call('ZRANGE', ORDER .. pool, 0, -1)) do
    if n < SHARES and not shares[name] and number(redis.pcall('HGET', EXPERIMENT .. name, 'running') or '') > 0 then
      shares[name], n = share_in(name), n + 1
    end
  end
  return shares
end

-- Gives to who has least, again and again: a slot that comes free (`take` finds one of `coming`), else that of a job, which
-- `stop(job, name)` stops. At most `limit` are stopped.
local function even_out(pool, wants, coming, now, limit, take, stop)
  local shares = shares_of(pool, wants)
  for _, want in ipairs(wants) do
    want.left = math.min(redis.call('LLEN', RQ_QUEUE .. want.queue), shares[want.exp].room)
  end
  while limit > 0 do
    local least
    for _, want in ipairs(wants) do
      local one = shares[want.exp]
      if want.left > 0 and (not least or one.has / one.per < shares[least.exp].has / shares[least.exp].per) then least = want end
    end
    if not least then return end
    local to = shares[least.exp]
    local from, job
    if not take(coming, least.shape) then
      from, job = giver(pool, shares, to, least.shape, now)
      if not job then least.left = 0 end
    end
    if job then
      stop(job, least.exp)
      from.has, limit = from.has - 1, limit - 1
    end
    if least.left > 0 then to.has, least.left = to.has + 1, least.left - 1 end
  end
end

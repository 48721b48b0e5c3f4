--@ time number ready ending pick take present drained gang backfill
-- claim(slot, attempt, node, boot, lease_ms, pools, devices, memory, only, left) -> flat claim or nil
-- Takes the job that stands first among those that fit this slot and leases it. The same attempt id gets the
-- same job again (R2, M8). With nothing to take, the slot is noted as idle and will be woken; a drained one is not.
-- A slot that may be one of several for a job waits for the others, or leads them (lib/gang.lua).
-- `left`: seconds that the slot still has, '' for no end: a job that is likely to outlast it is left to others (lib/ending.lua).
-- What cannot be a job of ours leaves the queue and is quarantined; it stops nobody (R12).
-- keys: rq:suspended exs:shapes exs:ready exs:queues rq:queue rq:job rq:wip exs:leases exs:exp rq:worker(s) exs:idle exs:offers
--   exs:quarantine exs:astray exs:drained exs:slots exs:hold exs:holding exs:pool; with `left` exs:spec rq:finished
-- answer: {id, attempt, number, experiment, ix, nm, pr, pt, sp, cm, fo, created_at, ck, gp, sl}; {'', attempt, leader, id} while
--   another slot runs that job on the GPU of this one too
local slot, attempt, lease = ARGV[1], ARGV[2], tonumber(ARGV[5])
local pools, devices, memory, only = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local worker, offer = RQ_WORKER .. slot, devices .. '|' .. memory .. '|' .. only
local left = tonumber(ARGV[10] or '')
if left then offer = offer .. '|ends' end
local now = now_ms()
local at = iso(now)
local me = {slot = slot, node = ARGV[3], boot = ARGV[4], pools = pools, devices = devices, memory = memory, only = only, now = now,
  lease = lease, left = left}
-- Ids that are no jobs: so many are dropped in one call, the rest in later ones.
local junk = 1000

local function answer(id, f, nth)
  return {id, attempt, nth, experiment_of(f[2]), f[5], f[6], f[7], f[8], f[9], f[10] or '', f[11] or '', f[12],
    f[14] or '', f[15] or '', f[16] or ''}
end

local held = redis.call('HMGET', worker, 'exs_at', 'current_job', 'queues', 'last_heartbeat', 'exs_offer', 'exs_hold', 'exs_with', 'exs_lead')
if held[1] == attempt and held[2] then
  local f = read_claim(held[2])
  if f[13] == attempt then return answer(held[2], f, f[4]) end
end

local following = followed(slot, held[7], held[8], held[2])
if following then return {'', unpack(following)} end

local function lease_to(id, f, nth, from)
  local job, sl = RQ_JOB .. id, nil
  f[15] = devices
  if from.mates then sl, f[15] = engage(from, id, attempt, me) end
  f[16] = sl
  redis.call('ZADD', LEASES, now + lease, id)
  redis.call('HSET', job, 'st', 'RUNNING', 'status', 'started', 'at', attempt, 'worker_name', slot, 'started_at', at,
    'nd', ARGV[3], 'bt', ARGV[4], 'gp', f[15], 'an', nth, unpack(sl and {'sl', sl} or {}))
  if nth > 1 then
    redis.call('HDEL', job, 'ended_at', 'fc', 'fd', 'xc', 'sg', 'tl', 'rs', 'exc_info', 'description', 'rm', 'gm', 'gu', 'lx', 'dr', 'lg', 'pg', 'ss',
      sl and 'lg' or 'sl')
  end
  redis.pcall('ZADD', RQ_WIP .. f[2], '+inf', id .. ':' .. attempt)
  redis.call('HSET', worker, 'state', 'busy', 'current_job', id, 'exs_at', attempt)
end

-- One look for both, since most fleets have neither.
local suspended, out = redis.call('EXISTS', RQ_SUSPENDED, DRAINED) > 0, false
if suspended then
  me.drains = true
  out = drained(slot, ARGV[3], now)
  suspended = out or redis.call('EXISTS', RQ_SUSPENDED) == 1
end
local waits -- the queue for which this slot is held
while not suspended and junk > 0 do
  local from, gangs, others = pick(me)
  local lead
  waits = nil
  if gangs then lead, waits = gather(gangs, from, me) end
  if from and not lead and not waits and (gangs or others) then waits = barred_by(from, gangs, others, me) end
  from = lead or not waits and from
  if not from then break end
  local name = experiment_of(from.queue)
  local e = redis.pcall('HMGET', EXPERIMENT .. name, 'running', 'max', 'canary', 'preempted_by')
  local running = not e.err and whole(e[1])
  local id, f
  if running then id, f, junk = take(from.queue, now, junk) end
  if id then
    local nth = number(f[4]) + 1
    lease_to(id, f, nth, from)
    count(name, 'running', 1)
    if e[4] then redis.call('HDEL', EXPERIMENT .. name, 'preempted_by') end
    if from.score < FAIR then refresh(name, true)
    elseif (e[2] or e[3]) and running + 1 >= (most(e[2], e[3]) or 2 ^ 53) then refresh(name)
    elseif redis.call('EXISTS', RQ_QUEUE .. from.queue) == 0 then unset_ready(from.pool, from.shape, from.queue) end
    withdraw(me, held[5] or offer)
    if held[6] then leave_hold(me) end
    announce(me, held[3], held[4], at)
    return answer(id, f, nth)
  end
  if junk > 0 then unset_ready(from.pool, from.shape, from.queue) end
end
redis.call('DEL', NONE) -- see renew: a full server runs its queue empty, LPOP above having the same effect
if waits then offer = offer .. '|held' end
if held[5] and held[5] ~= offer then withdraw(me, held[5]) end
redis.call('HSET', worker, 'state', suspended and 'suspended' or 'idle', 'exs_offer', offer, unpack(waits and {'exs_hold', waits} or {}))
redis.call('HDEL', worker, 'current_job', 'exs_at')
if held[6] and not waits then leave_hold(me) end
announce(me, held[3], held[4], at)
if not out then wait_in_line(me, offer) end
return false

--@ gang team hold slots
-- Backfill: whether jobs of a worse priority start on a node while a better one waits for slots of it. `off`, also when nothing
-- is set: they do not, on none of its slots. The better one waits for this node if a slot of it that is busy now would fit it, or
-- if this is where its slots are held (lib/gang.lua); one that could never run here blocks nobody here, equal priorities pass
-- one another, and slots without a GPU neither block nor are blocked. `on`: they do, on every slot that is not held. A pool that
-- shares its slots fairly knows no priorities.
local LANE_OF_READY = 2 ^ 38 * 128
local function priority_of(score) return math.floor(score / LANE_OF_READY) end

local strictness = {}
local function strict(pool)
  if strictness[pool] == nil then strictness[pool] = redis.pcall('HGET', POOL .. pool, 'backfill') ~= 'on' end
  return strictness[pool]
end

-- Whether what stands ready in a pool as a shape waits for this node; `slots`: those of it that have a GPU.
local function waits_for(slots, one, me)
  for _, slot in ipairs(slots) do
    if in_list(slot.pools, one.pool) and (slot.only == '' or slot.only == experiment_of(one.queue))
      and slot.devices ~= '' and fits(one.shape, slot.devices, slot.memory, me.node) then return true end
  end
  local hold = slots_of(one.shape) > 1 and hold_of(me.node)
  return hold and hold.queue == one.queue and held_now(hold, me.now) > 0
end

-- The queue of a better priority than `from` that keeps this slot from taking it; nil for none. `gangs` and `others` as `pick`
-- found them.
local function barred_by(from, gangs, others, me)
  if me.devices == '' or from.score < FAIR then return nil end
  local slots
  for _, some in ipairs({gangs or {}, others or {}}) do
    for _, one in ipairs(some) do
      local key, queue, score = READY .. one.pool .. ':' .. one.shape, one.queue, one.score
      if string.sub(one.shape, 1, 2) == '0|' then -- what wants no GPU waits for no slot that has one
      elseif queue and not score then
        score = tonumber(redis.call('ZSCORE', key, queue) or nil)
      elseif not score then
        local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
        queue, score = head[1], tonumber(head[2])
      end
      if score and score > FAIR and priority_of(score) < priority_of(from.score) and strict(one.pool) then
        slots = slots or slots_with_gpus(me)
        if waits_for(slots, {pool = one.pool, shape = one.shape, queue = queue}, me) then return queue end
      end
    end
  end
end

-- What a job needs of a slot, as one line of text: alternatives, joined by ';', any of which will do:
--   <gpus>|<indices>|<bytes>{|in=<nodes>}{|not=<nodes>}{|pool=<pool>}
-- gpus '*' takes any slot; indices and nodes are joined by commas, '' for any; bytes of each GPU. `in` names the only nodes
-- that will do, `not` those that will not. An alternative without a pool is for the pool of its experiment. What does not
-- look like this fits nowhere. A slot offers its device names (comma separated) and the memory of its smallest device.
-- exs/store/shapes.py is the same in Python; a test compares the two.
local TAGS = {['in'] = true, ['not'] = true, pool = true}

-- The name of a node or pool as it stands in a shape.
local function shape_word(name)
  return (string.gsub(name, '[^%w._-]', function(c) return string.format('%%%02X', string.byte(c)) end))
end

local function in_list(list, word) return string.find(',' .. list .. ',', ',' .. word .. ',', 1, true) ~= nil end

-- One alternative as a table; nil for what is none.
local function alternative(text)
  local gpus, indices, bytes, rest = string.match(text, '^([%d*]+)|([^|]*)|(%d*)(.*)$')
  if not gpus then return nil end
  local one = {gpus = gpus, indices = indices, bytes = bytes}
  while rest ~= '' do
    local tag, names, more = string.match(rest, '^|(%l+)=([^|]*)(.*)$')
    if not tag or not TAGS[tag] then return nil end
    one[tag], rest = names, more
  end
  return one
end

local function text_of(one)
  local text = one.gpus .. '|' .. one.indices .. '|' .. one.bytes
  for _, tag in ipairs({'in', 'not', 'pool'}) do
    if one[tag] then text = text .. '|' .. tag .. '=' .. one[tag] end
  end
  return text
end

-- Whether a slot of `node` may run an alternative, its number of GPUs apart. Without a node: whether one of some node may.
local function suits(one, devices, memory, node)
  if node and (one['in'] or one['not']) then
    local word = shape_word(node)
    if one['in'] and not in_list(one['in'], word) or one['not'] and in_list(one['not'], word) then return false end
  end
  if one.indices ~= '' then
    if devices == '' then return false end
    for device in string.gmatch(devices, '[^,]+') do
      if not in_list(one.indices, device) then return false end
    end
  end
  return one.bytes == '' or (tonumber(memory) or 0) >= tonumber(one.bytes)
end

local function count_devices(devices)
  local _, commas = string.gsub(devices, '[^,]+', '')
  return commas
end

-- Whether a slot fits alone: `node` nil for a slot of some node.
local function fits(shape, devices, memory, node)
  if shape == '*||' then return true end
  for text in string.gmatch(shape, '[^;]+') do
    local one = alternative(text)
    if one and suits(one, devices, memory, node) then
      local have = count_devices(devices)
      if one.gpus == '*' or one.gpus == '0' and have == 0 or one.gpus ~= '0' and have >= (tonumber(one.gpus) or 2 ^ 53) then return true end
    end
  end
  return false
end

-- How many slots a job of `shape` wants of which this may be one: the least, or `k` if that will do; nil for none. A slot of one
-- GPU, whole or a share of one; CUDA cannot join parts that MIG makes.
local function part_of(shape, devices, memory, node, k)
  if devices == '' or string.find(devices, ',', 1, true) or string.sub(devices, 1, 4) == 'MIG-' then return nil end
  local least
  for text in string.gmatch(shape, '[^;]+') do
    local one = alternative(text)
    local gpus = one and tonumber(one.gpus)
    if gpus and gpus > 1 and (not k or gpus == k) and suits(one, devices, memory, node) then least = math.min(least or gpus, gpus) end
  end
  return least
end

-- As which shapes jobs of `shape` stand ready in which pools, `home` being the pool of their experiment: pairs of a pool and
-- of what is left there of the alternatives, without the pool.
local function shape_in_pools(home, shape)
  if not string.find(shape, '|pool=', 1, true) then return {{home, shape}} end
  local pools, texts = {}, {}
  for text in string.gmatch(shape, '[^;]+') do
    local one = alternative(text)
    if one then
      local pool = one.pool or home
      if not texts[pool] then
        pools[#pools + 1] = pool
        texts[pool] = {}
      end
      one.pool = nil
      table.insert(texts[pool], text_of(one))
    end
  end
  for i, pool in ipairs(pools) do pools[i] = {pool, table.concat(texts[pool], ';')} end
  return pools
end

--@ time
-- capsule_sweep(age_ms, before) -> {capsules and chunks that were looked at, before}: to be called again with that until
-- it has looked at none. Removes a capsule that no experiment needs, and chunks that no capsule has, once either has not
-- been asked for in age_ms: a push may be under way. An experiment needs a capsule that one of its specs names.
-- keys: exs:capsule(s) exs:capsule-of exs:chunk(s) exs:chunks-loose exs:spec exs:stage
local now = now_ms()
local before = tonumber(ARGV[2]) or now - tonumber(ARGV[1])
redis.call('DEL', NONE) -- see renew

local function needed(digest)
  for _, name in ipairs(redis.call('SMEMBERS', CAPSULE_OF .. digest)) do
    if redis.call('EXISTS', STAGE .. name) == 1 then return true end
    for _, spec in ipairs(redis.call('HVALS', SPECS .. name)) do
      if string.find(spec, digest, 1, true) then return true end
    end
    redis.call('SREM', CAPSULE_OF .. digest, name)
  end
  return false
end

-- Each of its chunks once, also where a manifest cannot be read: then the chunks stay, and nothing else breaks.
local function chunks_of(digest)
  local ok, manifest = pcall(cjson.decode, redis.call('GET', CAPSULE .. digest) or '')
  local found, seen = {}, {}
  local function note(sha)
    if type(sha) == 'string' and sha ~= '' and not seen[sha] then
      seen[sha] = true
      found[#found + 1] = sha
    end
  end
  if ok and type(manifest) == 'table' and type(manifest.chunks) == 'table' then
    for _, sha in ipairs(manifest.chunks) do note(sha) end
    note(manifest.record)
  end
  return found
end

local loose = redis.call('ZRANGEBYSCORE', CHUNKS_LOOSE, '-inf', before, 'LIMIT', 0, 200)
for _, sha in ipairs(loose) do
  if redis.call('HEXISTS', CHUNKS, sha) == 0 then redis.call('UNLINK', CHUNK .. sha) end
  redis.call('ZREM', CHUNKS_LOOSE, sha)
end
local old = redis.call('ZRANGEBYSCORE', CAPSULES, '-inf', before, 'LIMIT', 0, 1)
for _, digest in ipairs(old) do
  if needed(digest) then
    redis.call('ZADD', CAPSULES, now, digest)
  else
    for _, sha in ipairs(chunks_of(digest)) do
      if redis.call('HINCRBY', CHUNKS, sha, -1) <= 0 then
        redis.call('HDEL', CHUNKS, sha)
        redis.call('UNLINK', CHUNK .. sha)
      end
    end
    redis.call('UNLINK', CAPSULE .. digest, CAPSULE_OF .. digest)
    redis.call('ZREM', CAPSULES, digest)
  end
end
return {#loose + #old, before}

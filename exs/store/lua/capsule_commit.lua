--@ time
-- capsule_commit(digest, manifest, NAME, sha...) -> numbers of the chunks that are missing; {} when the capsule is there,
-- and kept for the experiment NAME, which the caller is about to push. The chunks of a capsule are there as long as it.
-- keys: exs:capsule(s) exs:capsule-of exs:chunk(s) exs:chunks-loose
local digest, missing = ARGV[1], {}
for i = 4, #ARGV do
  if redis.call('EXISTS', CHUNK .. ARGV[i]) == 0 then missing[#missing + 1] = i - 4 end
end
if #missing > 0 then return missing end
if redis.call('EXISTS', CAPSULE .. digest) == 0 then
  redis.call('SET', CAPSULE .. digest, ARGV[2])
  for i = 4, #ARGV do
    redis.call('HINCRBY', CHUNKS, ARGV[i], 1)
    redis.call('ZREM', CHUNKS_LOOSE, ARGV[i])
  end
end
redis.call('ZADD', CAPSULES, now_ms(), digest)
redis.call('SADD', CAPSULE_OF .. digest, ARGV[3])
return missing

-- capsule_drop(sha...) -> ok: removes those of these chunks that no capsule has. A push that sends one of them at the same
-- time sends it again: its capsule_commit says that it is missing.
-- keys: exs:chunk(s) exs:chunks-loose
for _, sha in ipairs(ARGV) do
  if redis.call('HEXISTS', CHUNKS, sha) == 0 then
    redis.call('UNLINK', CHUNK .. sha)
    redis.call('ZREM', CHUNKS_LOOSE, sha)
  end
end
return 'ok'

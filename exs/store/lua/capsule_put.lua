--@ time
-- capsule_put(sha, data) -> ok: keeps a chunk; until a capsule has it, capsule_sweep may take it away again.
-- keys: exs:chunk(s) exs:chunks-loose
local sha = ARGV[1]
redis.call('SET', CHUNK .. sha, ARGV[2])
if redis.call('HEXISTS', CHUNKS, sha) == 0 then redis.call('ZADD', CHUNKS_LOOSE, now_ms(), sha) end
return 'ok'

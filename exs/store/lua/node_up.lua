--@ time
-- node_up(node, boot, machine, pid) -> the name to use: `node`, or `node-<4 hex>` when another machine goes by that name.
-- Registers an agent's node, so that what an earlier boot of it held is known to be lost, and its slots are forgotten.
-- keys: exs:schema exs:node exs:slots
local node, boot, machine, pid = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
redis.call('SETNX', SCHEMA, SCHEMA_VERSION)
local known = redis.call('HGET', NODE .. node, 'machine')
if known and known ~= machine then node = node .. '-' .. string.sub(machine, 1, 4) end
if redis.call('HGET', NODE .. node, 'boot') ~= boot then redis.call('DEL', NODE_SLOTS .. node) end
redis.call('HSET', NODE .. node, 'boot', boot, 'machine', machine, 'pid', pid, 'at', now_ms())
redis.call('EXPIRE', NODE .. node, NODE_TTL)
return node

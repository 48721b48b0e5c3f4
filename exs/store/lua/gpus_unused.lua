--@ time
-- gpus_unused(node, seconds, gpu1, why1, ...) -> 1: these GPUs of the node get no job, and why; none but these.
-- What is said is believed for so many seconds; then the node that said it is believed to be gone.
-- keys: exs:unused
local node, till = ARGV[1], string.format('%.0f', now_ms() + tonumber(ARGV[2]) * 1000)
for _, field in ipairs(redis.call('HKEYS', UNUSED)) do
  if string.match(field, '^(.*)|[^|]*$') == node then redis.call('HDEL', UNUSED, field) end
end
for i = 3, #ARGV, 2 do redis.call('HSET', UNUSED, node .. '|' .. ARGV[i], till .. '|' .. ARGV[i + 1]) end
return 1

--@ time number
-- gpus_unused(node, seconds, gpu1, why1, ...) -> 1: these GPUs of the node get no job, and why; none but these.
-- What is said is believed for so many seconds; then the node that said it is believed to be gone, and forgotten by the next
-- that speaks.
-- keys: exs:unused
local node, now = ARGV[1], now_ms()
local till = string.format('%.0f', now + tonumber(ARGV[2]) * 1000)
local said = redis.call('HGETALL', UNUSED)
for i = 1, #said, 2 do
  local over = number(string.match(said[i + 1], '^(%d+)|')) < now
  if over or string.match(said[i], '^(.*)|[^|]*$') == node then redis.call('HDEL', UNUSED, said[i]) end
end
for i = 3, #ARGV, 2 do redis.call('HSET', UNUSED, node .. '|' .. ARGV[i], till .. '|' .. ARGV[i + 1]) end
return 1

-- kinds(cursor, limit, name, type, ...) -> {next cursor, key, its type, the type it has to be, ...}: keys of ours that
-- are of another type than their name says, a whole name or one up to its second colon. Writes nothing.
local wanted = {}
for i = 3, #ARGV, 2 do wanted[ARGV[i]] = ARGV[i + 1] end
local page = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local answer = {page[1]}
for _, key in ipairs(page[2]) do
  local want = wanted[key] or wanted[string.match(key, '^[^:]*:[^:]*:')]
  local kind = want and redis.call('TYPE', key).ok
  if want and kind ~= want and kind ~= 'none' then
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = key, kind, want
  end
end
return answer

-- kinds(cursor, limit, name, type, ...) -> {next cursor, key, its type, the type it has to be, ...}: keys of ours that
-- are of another type than their name says, a whole name or one up to its second colon. Writes nothing.
-- What RQ keeps of a job under further names, as the set rq:job:ID:dependents, is not the job; what the user of this connection
-- may not look at is passed over.
local wanted = {}
for i = 3, #ARGV, 2 do wanted[ARGV[i]] = ARGV[i + 1] end
local page = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local answer = {page[1]}
for _, key in ipairs(page[2]) do
  local prefix = string.match(key, '^[^:]*:[^:]*:')
  local part = prefix == RQ_JOB and string.find(key, ':', #RQ_JOB + 1, true)
  local want = wanted[key] or not part and wanted[prefix]
  local kind = want and redis.pcall('TYPE', key).ok
  if kind and kind ~= want and kind ~= 'none' then
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = key, kind, want
  end
end
return answer

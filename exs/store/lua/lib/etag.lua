-- What changes whenever a job's state, holder, parameters or results do; `records.etag` computes the same from a row.
local function etag(id)
  local f = redis.call('HMGET', RQ_JOB .. id, 'st', 'at', 'pr', 'rs')
  return redis.sha1hex((f[1] or '') .. '\n' .. (f[2] or '') .. '\n' .. (f[3] or '') .. '\n' .. (f[4] or ''))
end

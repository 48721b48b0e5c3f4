-- What is stored of how an attempt ended: fields and values in turn. `o`: the decoded outcome; `result`: JSON or ''.
local function outcome_fields(job, o, attempt, now, result, tail)
  local function path(value) return type(value) == 'string' and value or '' end -- a command that did not start has no log
  local directory, log = short_paths(job.nm, path(o.directory), path(o.log))
  local f = {'ended_at', iso(now), 'dn', attempt}
  local function keep(field, value)
    if value ~= nil and value ~= cjson.null and value ~= '' and value ~= 0 then f[#f + 1] = field f[#f + 1] = value end
  end
  keep('fc', o.failure) keep('fd', o.detail) keep('sg', o.signal) keep('dr', directory) keep('lg', log)
  keep('rm', o.max_rss) keep('lx', o.log_dropped) keep('rs', result) keep('tl', tail)
  keep('gm', o.gpu_peak)
  if o.gpu_load then -- 0 says most of all
    f[#f + 1] = 'gu' f[#f + 1] = o.gpu_load .. ' ' .. (o.gpu_load_max or o.gpu_load)
  end
  if o.exit_code ~= cjson.null and o.exit_code ~= nil then f[#f + 1] = 'xc' f[#f + 1] = o.exit_code end
  if o.state == 'CRASHED' then keep('exc_info', o.detail) keep('description', o.detail) end
  return f
end

-- Where a job's files are, without what can be told from its record: a directory that is named after the job ends with '/',
-- a log in its directory is a name. `rows.py` has the reverse.
local function short_paths(nm, directory, log)
  if directory == '' then return directory, log end
  if string.sub(directory, -1) == '/' then directory = directory .. '.' end
  local short = string.sub(log, 1, #directory + 1) == directory .. '/' and string.sub(log, #directory + 2) or log
  if nm ~= '' and string.sub(directory, -#nm - 1) == '/' .. nm then directory = string.sub(directory, 1, -#nm - 1) end
  return directory, short
end

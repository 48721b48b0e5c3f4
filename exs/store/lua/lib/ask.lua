--@ coming
-- What the holder of a job can be asked for, weakest first; a stronger wish replaces a weaker one, never the reverse.
-- pause ends PAUSED, preempt goes back to its place in the queue, edit too, with what `lib/edit.lua` has noted.
-- Asks the slot that holds a job to end it, twice: on RQ's channel (at once) and as a field that its next renewal
-- returns (surely). One that is to run again later is PAUSING until it is off its GPU.
local function ask(job, want)
  local WISHES = {preempt = 1, edit = 2, pause = 3, cancel = 4, kill = 5}
  if WISHES[want] > (WISHES[job.wn] or 0) then
    job.wn = want
    redis.call('HSET', RQ_JOB .. job.id, 'wn', want)
  end
  if WISHES[want] < WISHES.cancel and job.st == 'RUNNING' then
    job.st = 'PAUSING'
    redis.call('HSET', RQ_JOB .. job.id, 'st', 'PAUSING')
  end
  redis.call('PUBLISH', RQ_PUBSUB .. job.slot, cjson.encode({command = 'exs', want = want, job_id = job.id, attempt = job.at}))
  expect_end(job)
end

-- Ends what nobody owns of a job past its limit: `queue_timeout` until its first claim, then `timeout`.
-- ARGV: the time until which Redis' clock is trusted; after it nothing is ended.
-- Answers the number of batches that a live owner must still end.
local now = now_ms()
local f = redis.call('HMGET', job, 'state', 'deadline_ms', 'queue_deadline_ms')
local kind = f[2] and 'timeout' or 'queue_timeout'
local at = f[2] or f[3]
if not at or (f[1] ~= 'queued' and f[1] ~= 'running') then
  over_all('ZREM', 'bp:deadlines', job)
  return 0
end
if now < tonumber(at) then
  -- Its place in the index was wrong.
  over_all('ZADD', 'bp:deadlines', at, job)
  return 0
end
if now > tonumber(ARGV[1]) then return tonumber(redis.call('HGET', job, 'open')) end
needs_no_room()
end_unowned(now, 'failed', 'timeout', timeout_error(kind, kind .. '_ms'), kind)
return tonumber(redis.call('HGET', job, 'open'))

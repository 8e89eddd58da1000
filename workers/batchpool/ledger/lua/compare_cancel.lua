-- Answers missing, terminal or cancelled. One that waits ends here, one that runs by its driver.
local f = redis.call('HMGET', job, 'state', 'ttl_ms')
if not f[1] then return 'missing' end
if f[1] ~= 'queued' and f[1] ~= 'running' then return 'terminal' end
needs_no_room()
local now = now_ms()
if redis.call('HSETNX', job, 'cancel', now) == 0 then return 'cancelled' end
if f[1] == 'queued' then
  redis.call('HSET', job, 'state', 'cancelled', 'finished_ms', now)
  over_all('ZREM', 'bp:comparing', job)
  emit('end', '')
  tell_end('cancelled')
  for _, part in ipairs({'', ':items', ':events', ':end'}) do
    redis.call('PEXPIRE', job .. part, f[2])
  end
  over_all('ZADD', 'bp:finished', now + f[2], job)
else
  emit('comparison', '')
end
return 'cancelled'

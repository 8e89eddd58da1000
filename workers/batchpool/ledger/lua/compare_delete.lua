-- Answers missing, running or deleted.
local state = redis.call('HGET', job, 'state')
if not state then return 'missing' end
if state == 'queued' or state == 'running' then return 'running' end
for _, part in ipairs({'', ':items', ':samples', ':slots', ':events', ':end', ':analysis'}) do
  redis.call('UNLINK', job .. part)
end
over_all('ZREM', 'bp:comparisons', job)
over_all('ZREM', 'bp:finished', job)
return 'deleted'

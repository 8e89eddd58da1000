-- Answers missing, running or deleted.
local state = redis.call('HGET', job, 'state')
if not state then return 'missing' end
if state == 'queued' or state == 'running' then return 'running' end
for n = 0, batches() - 1 do
  local k = batch_key(n)
  redis.call('UNLINK', k, k .. ':bits', k .. ':heads', k .. ':blocks', k .. ':reduced')
end
redis.call('UNLINK', job, job .. ':items', job .. ':events', job .. ':end')
over_all('ZREM', 'bp:jobs', job)
over_all('ZREM', 'bp:finished', job)
return 'deleted'

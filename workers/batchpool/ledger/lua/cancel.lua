-- Answers missing, terminal or cancelled. Batches that nobody owns end here, the others by their owner.
local state = redis.call('HGET', job, 'state')
if not state then return 'missing' end
if state ~= 'queued' and state ~= 'running' then return 'terminal' end
if redis.call('HGET', job, 'cancel') ~= 'user' then
  needs_no_room()
  redis.call('HSET', job, 'cancel', 'user')
  end_unowned(now_ms(), 'cancelled', 'cancelled', '', 'cancelled')
end
return 'cancelled'

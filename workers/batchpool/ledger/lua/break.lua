-- Ends batches whose data are broken, whoever owns them: what an owner still sends is refused.
-- ARGV: the error as JSON, then the batches. Answers how many have ended.
local now, ended = now_ms(), 0
needs_no_room()
for at = 2, #ARGV do
  local state = redis.call('HGET', batch_key(ARGV[at]), 'state')
  if state == 'queued' or state == 'parked' or state == 'running' then
    end_batch(ARGV[at], now, 'failed', 'cancelled', ARGV[1], 'broken')
    ended = ended + 1
  end
end
return ended

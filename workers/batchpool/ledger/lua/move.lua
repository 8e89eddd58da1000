-- A batch that waits goes to another queue, or is parked. ARGV: n, 'queue' or 'park', queue or reason,
-- the version of the task there or '', or the class that found itself unfit to run it or ''.
local n, key = ARGV[1], batch_key(ARGV[1])
local state, now = redis.call('HGET', key, 'state'), now_ms()
if state ~= 'queued' and state ~= 'parked' then return 'no' end
if ARGV[2] == 'queue' then
  local bound = redis.call('HGET', job, 'code')
  if ARGV[4] ~= '' and bound and bound ~= ARGV[4] then return 'no' end
  redis.call('HSET', key, 'queue', ARGV[3])
  redis.call('HDEL', key, 'parked')
  queue_again(n, now)
elseif redis.call('HGET', key, 'parked') ~= ARGV[3] then
  redis.call('HSET', key, 'state', 'parked', 'parked', ARGV[3])
  wait_in('bp:parked', n, now)
  emit('batch', n)
end
if ARGV[2] == 'park' and ARGV[4] ~= '' then
  local unfit = redis.call('HGET', key, 'unfit')
  redis.call('HSET', key, 'unfit', (unfit and unfit .. ' ' or '') .. ARGV[4])
end
return 'yes'

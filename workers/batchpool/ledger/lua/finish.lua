-- The owner gives a batch up. ARGV: n, token, what: 'release' (queued again, nobody's fault) or a
-- final state, rest, error, report; of a release: 'untouched' when no item ran under this claim.
local n, key = ARGV[1], batch_key(ARGV[1])
if not owns(n, ARGV[2]) then return 'stale' end
needs_no_room()
local now = now_ms()
if ARGV[3] ~= 'release' then
  if ARGV[6] ~= '' then redis.call('HSET', key, 'report', ARGV[6]) end
  end_batch(n, now, ARGV[3], ARGV[4], ARGV[5], ARGV[4] ~= '' and ARGV[4] or ARGV[3])
  return 'ok'
end
if ARGV[4] == 'untouched' and redis.call('HEXISTS', job, 'begun') == 1
   and redis.call('HINCRBY', job, 'begun', -1) == 0 then
  redis.call('HDEL', job, 'begun', 'code')
end
end_epoch(n, now, 'released')
redis.call('HDEL', key, 'in_flight')
if not end_if_due(n, now) then queue_again(n, now) end
return 'ok'

-- The reconciler takes a batch from an owner whose lease ran out. ARGV: n, most owners that may be lost,
-- the time until which Redis' clock is trusted; after it none is lost.
-- Answers queued, ended or live.
local n, key = ARGV[1], batch_key(ARGV[1])
local lease = redis.call('ZSCORE', 'bp:leases', member(n))
local now = now_ms()
if not lease or tonumber(lease) > now or now > tonumber(ARGV[3]) then return 'live' end
if redis.call('HGET', key, 'state') ~= 'running' then
  over_all('ZREM', 'bp:leases', member(n))
  return 'live'
end
needs_no_room()
-- For the timeline: until when the owner was alive, and what it ran then.
redis.call('HSET', key, 'lost:' .. redis.call('HGET', key, 'epoch'), '{"lease_ended_ms":' .. lease
           .. ',"in_flight":' .. (redis.call('HGET', key, 'in_flight') or '[]') .. '}')
end_epoch(n, now, 'lost')
count('lost_workers', 1)
local lost = redis.call('HINCRBY', key, 'lost', 1)
if end_if_due(n, now) then return 'ended' end
if lost >= tonumber(ARGV[2]) then
  local err = cjson.encode({type = 'worker_lost', traceback = cjson.null,
    message = lost .. ' workers were lost while they ran this batch'})
  end_batch(n, now, 'failed', 'cancelled', err, 'lost')
  return 'ended'
end
queue_again(n, now)
return 'queued'

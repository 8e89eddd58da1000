-- ARGV: n, token, lease ms. Answers {stale|ok, cancel or '', ms left until the job's deadline}.
local n = ARGV[1]
if not owns(n, ARGV[2]) then return {'stale', '', '0'} end
needs_no_room()
local now = now_ms()
redis.call('ZADD', 'bp:leases', now + tonumber(ARGV[3]), member(n))
local f = redis.call('HMGET', job, 'cancel', 'deadline_ms')
return {'ok', f[1] or '', tostring((f[2] and tonumber(f[2]) or now) - now)}

-- ARGV: n, token, lease ms, the indices of what runs as JSON, '' if they are known. Answers {ok, cancel or '', ms left until the job's deadline}, or first
-- closed (it was ended by the last block of this owner) or stale (somebody else has it).
local n = ARGV[1]
if not owns(n, ARGV[2]) then return {closed(n, ARGV[2]) and 'closed' or 'stale', '', '0'} end
needs_no_room()
local now = now_ms()
over_all('ZADD', 'bp:leases', now + tonumber(ARGV[3]), member(n))
if ARGV[4] ~= '' then redis.call('HSET', batch_key(n), 'in_flight', ARGV[4]) end
local f = redis.call('HMGET', job, 'cancel', 'deadline_ms')
return {'ok', f[1] or '', tostring((f[2] and tonumber(f[2]) or now) - now)}

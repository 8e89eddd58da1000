-- Who drives comparisons: one process at a time, for a lease. ARGV: the token it has, or '', a random
-- part for a new one, lease ms, whether it gives up its lead. Answers the token that it holds now, or ''.
-- A token is a number that only grows and the random part; every step of a driver names it.
local key = 'bp:cmp:leader'
local held = redis.call('HGET', key, 'token')
if ARGV[4] == '1' then
  if held and held == ARGV[1] then redis.call('DEL', key) end
  return ''
end
if held and held ~= ARGV[1] then return '' end
needs_no_room()
local token = held
if not token then
  token = redis.call('HINCRBY', 'bp:counts', 'leads', 1) .. ':' .. ARGV[2]
  redis.call('HSET', key, 'token', token)
end
redis.call('PEXPIRE', key, ARGV[3])
return token

-- A worker is wanted for a slot, in the place of who holds it. KEYS[1]: the comparison.
-- ARGV: slot, nonce. Answers ok, or no when the comparison does not run.
local slots = job .. ':slots'
if redis.call('HGET', job, 'state') ~= 'running' then return 'no' end
redis.call('HDEL', slots, ARGV[1])
redis.call('HSET', slots, 'want:' .. ARGV[1], ARGV[2])
return 'ok'

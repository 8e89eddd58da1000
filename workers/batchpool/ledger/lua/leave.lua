-- The holder leaves its slot, unless another has it. KEYS[1]: the comparison. ARGV: slot, nonce.
-- Answers ok or no.
local slots = job .. ':slots'
local held = holder_in(redis.call('HGET', slots, ARGV[1]))
if not held or held.nonce ~= ARGV[2] then return 'no' end
needs_no_room()
redis.call('HDEL', slots, ARGV[1])
return 'ok'

-- Adds a block to the items of an upload; KEYS[1] is their hash. ARGV: the order as JSON, the field,
-- the block. Answers {'ok'}, {'lost'} where an earlier block is gone, or what `no_room` says.
local order = cjson.decode(ARGV[1])
if redis.call('HLEN', job) - redis.call('HEXISTS', job, ARGV[2]) ~= order.blocks then return {'lost'} end
local full = order.room and no_room(order.room, order.items, 0)
if full then return full end
redis.call('HSET', job, ARGV[2], ARGV[3])
redis.call('PEXPIRE', job, order.ttl_ms)
return {'ok'}

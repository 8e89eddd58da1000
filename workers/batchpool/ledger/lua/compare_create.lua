-- Writes a comparison, unless its Idempotency-Key was used or too many wait already. KEYS[1] is its
-- hash. ARGV: the order as JSON, the spec, the class of workers, blocks of items.
-- A `dry_run` stops before it writes. Answers {'made', now}, {'again', what was stored for the key} or {'queued', how many, most}.
local order = cjson.decode(ARGV[1])
if order.once then
  local first = stored_for(order.once.name)
  if first then return {'again', first} end
end
local open = redis.call('ZCARD', 'bp:comparing') + 1
if open > order.most then return {'queued', open, order.most} end
local now = now_ms()
if order.dry_run then return {'made', tostring(now)} end
if order.once then
  redis.call('SET', order.once.name, order.once.value, 'EX', order.once.ttl_s)
end
redis.call('HSET', job, 'state', 'queued', 'spec', ARGV[2], 'class', ARGV[3], 'submitted_ms', now,
           'ttl_ms', order.ttl_ms, 'position', 0, 'attempt', 1)
for at = 4, #ARGV do redis.call('HSET', job .. ':items', at - 4, ARGV[at]) end
over_all('ZADD', 'bp:comparisons', now, job)
over_all('ZADD', 'bp:comparing', now, job)
emit('comparison', '')
return {'made', tostring(now)}

-- Writes a job, unless it is there already, its Idempotency-Key was used, there is no room for it, or
-- it is a comparison's and `leader` does not lead any more ({'stale'}).
-- ARGV: the order as JSON, the spec, blocks of items unless the hash `upload` has them already, then
-- the queue's commands, each after the number of its words. A `dry_run` stops before it writes.
-- Answers {'made', now}, {'exists'}, {'again', what was stored for the key}, {'lost'} where blocks of
-- the upload are gone, or what `no_room` says.
local order = cjson.decode(ARGV[1])
local once, room = order.once, order.room

if once then
  local first = stored_for(once.name)
  if first then return {'again', first} end
end
if redis.call('EXISTS', job) == 1 then return {'exists'} end
if order.leader and redis.call('HGET', 'bp:cmp:leader', 'token') ~= order.leader then
  return {'stale'}
end
local full = room and no_room(room, order.items, order.bytes)
if full then return full end
if order.upload and redis.call('HLEN', order.upload) ~= order.blocks then return {'lost'} end
if order.dry_run then return {'made', tostring(now_ms())} end

local now = now_ms()
local queue_deadline = now + order.queue_timeout_ms
if once then redis.call('SET', once.name, once.value, 'EX', once.ttl_s) end
redis.call('HSET', job, 'state', 'queued', 'spec', ARGV[2], 'submitted_ms', now,
           'batches', #order.ranges, 'open', #order.ranges, 'timeout_ms', order.timeout_ms,
           'queue_timeout_ms', order.queue_timeout_ms, 'queue_deadline_ms', queue_deadline,
           'ttl_ms', order.ttl_ms)
if order.blocks > 0 then redis.call('HSET', job, 'item_blocks', order.blocks) end
count('queued', 1)
count('open_items', order.items)
for at, range in ipairs(order.ranges) do
  redis.call('HSET', batch_key(at - 1), 'state', 'queued', 'first', range[1], 'count', range[2],
             'queue', order.queues and order.queues[at] or order.queue, 'queued_ms', now)
  wait_in('bp:waiting', at - 1, now)
end
redis.call('ZADD', 'bp:deadlines', queue_deadline, job)
redis.call('ZADD', 'bp:jobs', now, job)
emit('job', '')

local at = 3
if order.upload then
  redis.call('RENAME', order.upload, job .. ':items')
  redis.call('PERSIST', job .. ':items')
else
  for block = 0, order.blocks - 1 do redis.call('HSET', job .. ':items', block, ARGV[at + block]) end
  at = at + order.blocks
end
carry_out(at, redis.call)
return {'made', tostring(now)}

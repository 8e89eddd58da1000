-- Writes jobs, all or none of them: none if the first is there already, their Idempotency-Key was used,
-- there is no room for them, or they are a comparison's and `leader` does not lead any more ({'stale'}).
-- ARGV: the order as JSON; of each job its spec, and its blocks of items unless the hash `upload` has
-- them already; then the queues' commands, each after the number of its words. A `dry_run` stops before
-- it writes.
-- Answers {'made', now}, {'exists'}, {'again', what was stored for the key}, {'lost'} where blocks of
-- an upload are gone, or what `no_room` says.
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
local full = room and no_room(room, order.items, order.bytes + order.reducer_bytes)
if full then return full end
for _, new in ipairs(order.jobs) do
  if new.upload and redis.call('HLEN', new.upload) ~= new.blocks then return {'lost'} end
end
if order.dry_run then return {'made', tostring(now_ms())} end

local now, at = now_ms(), 2

local function write_items(new)
  if new.upload then
    redis.call('RENAME', new.upload, job .. ':items')
    redis.call('PERSIST', job .. ':items')
    return
  end
  for block = 0, new.blocks - 1 do redis.call('HSET', job .. ':items', block, ARGV[at + block]) end
  at = at + new.blocks
end

local function write(new)
  job = new.key
  local queue_deadline = now + new.queue_timeout_ms
  redis.call('HSET', job, 'state', 'queued', 'spec', ARGV[at], 'submitted_ms', now,
             'batches', #new.ranges, 'open', #new.ranges, 'timeout_ms', new.timeout_ms,
             'queue_timeout_ms', new.queue_timeout_ms, 'queue_deadline_ms', queue_deadline,
             'ttl_ms', new.ttl_ms)
  at = at + 1
  if new.blocks > 0 then redis.call('HSET', job, 'item_blocks', new.blocks) end
  for n, range in ipairs(new.ranges) do
    redis.call('HSET', batch_key(n - 1), 'state', 'queued', 'first', range[1], 'count', range[2],
               'queue', new.queues and new.queues[n] or new.queue, 'queued_ms', now)
    if new.reducer_bytes > 0 then
      redis.call('HSET', batch_key(n - 1), 'reducer_bytes', new.reducer_bytes)
    end
    over_all('ZADD', 'bp:waiting', now, member(n - 1))
  end
  over_all('ZADD', 'bp:deadlines', queue_deadline, job)
  over_all('ZADD', 'bp:jobs', now, job)
  emit('job', '')
  write_items(new)
end

if once then redis.call('SET', once.name, once.value, 'EX', once.ttl_s) end
count('queued', #order.jobs)
count('open_items', order.items)
count('queued_items', order.items)
if order.reducer_bytes > 0 then count('reducer_bytes', order.reducer_bytes) end
for _, new in ipairs(order.jobs) do write(new) end
carry_out(at, redis.call)
return {'made', tostring(now)}

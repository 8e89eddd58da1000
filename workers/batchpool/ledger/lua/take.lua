-- A worker takes a slot of a running comparison. KEYS[1]: the comparison. ARGV: slot, nonce of the
-- message, the holder as JSON without its time. Answers ok or no.
local slots, slot, nonce = job .. ':slots', ARGV[1], ARGV[2]
if redis.call('HGET', job, 'state') ~= 'running' then return 'no' end
local holder = cjson.decode(ARGV[3])
if redis.call('HGET', slots, 'want:' .. slot) ~= nonce then
  -- An answer that was lost is asked for again.
  local held = redis.call('HGET', slots, slot)
  local held_by = holder_in(held)
  local again = held_by and held_by.nonce == nonce and held_by.worker == holder.worker
  return again and 'ok' or 'no'
end
-- A wish is granted once, however many copies of its message there are.
redis.call('HDEL', slots, 'want:' .. slot)
holder.nonce, holder.ms = nonce, now_ms()
redis.call('HSET', slots, slot, cjson.encode(holder))
return 'ok'

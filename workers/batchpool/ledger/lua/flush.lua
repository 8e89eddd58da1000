-- ARGV: n, token, block id, header, payload, records in it, tally, number of bit segments,
-- (byte offset, bytes) of each, then to end the batch: state or '', rest, error, report, stop; then
-- (name, state) of each reducer whose state the block changed.
-- A block is taken whole or refused whole. Answers ok, again (this block is there already),
-- stale (somebody else owns the batch), double (an item is recorded already) or short (a batch
-- wants to end, all recorded, and has items without a record, or succeeded without their success).
local n, key, token, block = ARGV[1], batch_key(ARGV[1]), ARGV[2], ARGV[3]
local segments = tonumber(ARGV[8])
local last = 8 + 2 * segments
local state, rest = ARGV[last + 1], ARGV[last + 2]

if redis.call('HGET', key, 'closed_by') == token .. '/' .. block then return 'again' end
if not owns(n, token) then return 'stale' end
if block ~= '' and redis.call('HGET', key, 'block') == block then return 'again' end

local merged = {}
for s = 1, segments do
  local offset, new = tonumber(ARGV[7 + 2 * s]), ARGV[8 + 2 * s]
  local old = redis.call('GETRANGE', key .. ':bits', offset, offset + #new - 1)
  if string.find(old, '[^%z]') then
    local bytes = {}
    for i = 1, #new do
      local a, b = string.byte(new, i), string.byte(old, i) or 0
      if bit.band(a, b) ~= 0 then return 'double' end
      bytes[i] = string.char(bit.bor(a, b))
    end
    new = table.concat(bytes)
  end
  merged[s] = {offset, new}
end
if state ~= '' and (rest == '' or state == 'succeeded') then
  local items = tonumber(redis.call('HGET', key, 'count'))
  if redis.call('BITCOUNT', key .. ':bits') + tonumber(ARGV[6]) ~= items then return 'short' end
  -- The bitmap counts records of any state; the tally must say the same.
  local succeeded = string.match(ARGV[7], '"succeeded":(%d+)')
  if state == 'succeeded' and tonumber(succeeded) ~= items then return 'short' end
end

-- All that could be refused is refused before the first write.
for _, part in ipairs({':heads', ':blocks'}) do redis.call('LLEN', key .. part) end
if ARGV[last + 6] then redis.call('HLEN', key .. ':reduced') end
if state ~= '' then check_numbers(n) end

for a = last + 6, #ARGV, 2 do redis.call('HSET', key .. ':reduced', ARGV[a], ARGV[a + 1]) end
for _, m in ipairs(merged) do redis.call('SETRANGE', key .. ':bits', m[1], m[2]) end
if block ~= '' then
  redis.call('RPUSH', key .. ':heads', ARGV[4])
  redis.call('RPUSH', key .. ':blocks', ARGV[5])
  redis.call('HSET', key, 'block', block)
end
redis.call('HSET', key, 'tally', ARGV[7])
if state == '' then
  emit('progress', n)
  return 'ok'
end

local now = now_ms()
redis.call('HSET', key, 'report', ARGV[last + 4], 'closed_by', token .. '/' .. block)
end_batch(n, now, state, rest, ARGV[last + 3], state)
if ARGV[last + 5] == '1' and redis.call('HGET', job, 'state') == 'running' then
  redis.call('HSETNX', job, 'cancel', 'error')
  end_unowned(now, 'cancelled', 'cancelled', '', 'stopped')
end
return 'ok'

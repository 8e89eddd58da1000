-- Redis' clock was set: what was written by the old one moves along. KEYS[1] is unused.
-- ARGV: by how many ms it was moved, for how many ms at most the new one has been in use, lease ms,
-- by how many ms all steps so far have moved what was written, or '' where nothing says so.
-- Answers 1, or 0 when that is not so any more: another reconciler has followed a step meanwhile.
local step, fresh, lease, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), now_ms()
local moved = tonumber(ARGV[4])
if tonumber(redis.call('HGET', 'bp:clock', 'moved') or '') ~= moved then return 0 end
needs_no_room()
redis.call('HSET', 'bp:clock', 'moved', string.format('%.0f', (moved or 0) + step))

local function is_new(ms) return ms and ms >= now - fresh and ms <= now end

-- Owners that live renew theirs; the others get one lease more.
local leases = redis.call('ZRANGE', 'bp:leases', 0, -1, 'WITHSCORES')
for at = 1, #leases, 2 do
  local ends = tonumber(leases[at + 1])
  if ends < now or ends > now + lease then over_all('ZADD', 'bp:leases', now + lease, leases[at]) end
end
for _, index in ipairs({'bp:waiting', 'bp:parked'}) do
  local found = redis.call('ZRANGE', index, 0, -1, 'WITHSCORES')
  for at = 1, #found, 2 do
    if not is_new(tonumber(found[at + 1])) then over_all('ZINCRBY', index, step, found[at]) end
  end
end
for _, key in ipairs(redis.call('ZRANGE', 'bp:deadlines', 0, -1)) do
  if redis.call('TYPE', key).ok == 'hash' then
    local f = redis.call('HMGET', key, 'deadline_ms', 'started_ms', 'queue_deadline_ms', 'submitted_ms')
    local field = f[1] and 'deadline_ms' or 'queue_deadline_ms'
    local at, since = tonumber(f[1] or f[3] or ''), tonumber(f[1] and f[2] or f[4] or '')
    if at and not is_new(since) then
      redis.call('HSET', key, field, at + step)
      over_all('ZADD', 'bp:deadlines', at + step, key)
    end
  end
end
for _, key in ipairs(redis.call('ZRANGE', 'bp:comparing', 0, -1)) do
  local since = redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, 'started_ms')
  since = tonumber(since or '')
  if since and not is_new(since) then redis.call('HSET', key, 'started_ms', since + step) end
end
return 1

-- Lease tokens for the begin of items, a spacing apart, from the time at which the last one of
-- KEYS[1] ends. Times are microseconds. With a second key, the budget that the task declares, each
-- token is taken from that one too. Tokens that nobody uses lapse as time passes.
-- Answers {tokens, now, when the first one begins, or when to ask again}.
local spacing, want, ahead, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local declared = tonumber(ARGV[6])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]

-- No lease reaches further ahead, but a clock that was set back would make it seem so.
local function free_at(key, step)
  local at = tonumber(redis.call('GET', key)) or now
  return math.max(now, math.min(at, now + ahead + math.max(step, most)))
end

local function set(key, at)
  redis.call('SET', key, string.format('%.0f', math.ceil(at)), 'PX', math.ceil((at - now) / 1000) + 1000)
end

local own = free_at(KEYS[1], spacing)
local begin = own
if declared then
  -- The tokens of both budgets are one after the other: until the last of these no other job of the
  -- task gets one. So they are for a short time, and none waits for this job's own budget.
  begin = free_at(ARGV[5], declared)
  if own > begin then return {0, now, math.ceil(own)} end
  want = math.min(want, 1 + math.floor(50000 / spacing))
end
if begin > now + ahead then return {0, now, math.ceil(begin - ahead)} end
set(KEYS[1], begin + want * spacing)
if declared then set(ARGV[5], begin + (want - 1) * spacing + declared) end
return {want, now, math.ceil(begin)}

-- Lease tokens for the begin of items, an interval apart, from the time at which the last one of
-- KEYS[1] ends. Times are microseconds. With a second key, the budget that the task declares, each
-- token is taken from that one too. Tokens that nobody uses lapse as time passes.
local interval, want, ahead, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local declared = tonumber(ARGV[6])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]

-- No lease reaches further ahead, but a clock that was set back would make it seem so.
local function free_at(key, step)
  local at = tonumber(redis.call('GET', key)) or now
  return math.max(now, math.min(at, now + ahead + math.max(step, most)))
end

local function set(key, at)
  redis.call('SET', key, string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1000)
end

local own = free_at(KEYS[1], interval)
local shared = declared and free_at(ARGV[5], declared) or own
local begin = math.max(own, shared)
if begin > now + ahead then return {0, math.ceil(begin - now - ahead)} end
set(KEYS[1], begin + want * interval)
if declared then set(ARGV[5], shared + want * declared) end
return {want, math.ceil(begin - now)}

-- Comparisons, each as it stands at one moment. ARGV: '1' for all of each, then their keys.
-- Answers {now, then for each false or {last event, fields, samples, analysis}}.
local answers = {tostring(now_ms())}
for at = 2, #ARGV do
  local key = ARGV[at]
  local found = false
  if redis.call('HEXISTS', key, 'state') == 1 then
    local newest = redis.call('XREVRANGE', key .. ':events', '+', '-', 'COUNT', 1)[1]
    local samples, analysis = {}, ''
    if ARGV[1] == '1' then
      samples = redis.call('LRANGE', key .. ':samples', 0, -1)
      analysis = redis.call('GET', key .. ':analysis') or ''
    end
    found = {newest and newest[1] or '0-0', redis.call('HGETALL', key), samples, analysis}
  end
  answers[#answers + 1] = found
end
return answers

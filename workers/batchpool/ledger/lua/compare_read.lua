-- Comparisons, each as it stands at one moment. ARGV: '1' for all of each, then their keys.
-- Answers {now, then for each false, the error of a key of the wrong type, or {last event, fields, samples, analysis}}.
local failed
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    failed = answer.err
    return nil
  end
  return answer
end

local answers = {tostring(now_ms())}
for at = 2, #ARGV do
  local key = ARGV[at]
  local found = false
  failed = nil
  local fields = try('HGETALL', key)
  if fields and #fields > 0 then
    local newest = (try('XREVRANGE', key .. ':events', '+', '-', 'COUNT', 1) or {})[1]
    local samples, analysis = {}, ''
    if ARGV[1] == '1' then
      samples = try('LRANGE', key .. ':samples', 0, -1) or {}
      analysis = try('GET', key .. ':analysis') or ''
    end
    found = {newest and newest[1] or '0-0', fields, samples, analysis}
  end
  answers[#answers + 1] = failed or found
end
return answers

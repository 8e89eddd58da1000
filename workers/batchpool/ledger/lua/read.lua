-- Jobs with their batches, each as they stand at one moment. ARGV: most hashes to be read, then the
-- jobs' keys. Answers {now, then for each job false or {last event, fields, fields of each batch}};
-- jobs are left off at the end when the limit is reached, but never all.
-- A script and no MULTI: before version 7, a full Redis refuses even reads in one.
local answers, hashes = {tostring(now_ms())}, 0
for at = 2, #ARGV do
  if at > 2 and hashes >= tonumber(ARGV[1]) then break end
  local key = ARGV[at]
  local batches = redis.call('HGET', key, 'batches')
  local found = false
  if batches then
    local newest = redis.call('XREVRANGE', key .. ':events', '+', '-', 'COUNT', 1)[1]
    found = {newest and newest[1] or '0-0', redis.call('HGETALL', key)}
    for n = 0, tonumber(batches) - 1 do
      found[#found + 1] = redis.call('HGETALL', key .. ':' .. n)
    end
    hashes = hashes + #found
  end
  answers[#answers + 1] = found
end
return answers

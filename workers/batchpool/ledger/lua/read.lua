-- Jobs with their batches, each as they stand at one moment. ARGV: most hashes to be read; summary,
-- whole, which reads the states of reducers too, or ended, the same of jobs that have; then the jobs'
-- keys. Answers {now, then for each job false, the error of a key of the wrong type, or
-- {last event, fields, {fields, states by name} of each batch}}, an error in the place of a last event
-- or of states that are of the wrong type;
-- jobs are left off at the end when the limit is reached, but never all.
-- A script and no MULTI: before version 7, a full Redis refuses even reads in one.
local failed
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    failed = answer.err
    return nil
  end
  return answer
end

local answers, hashes = {tostring(now_ms())}, 0
for at = 3, #ARGV do
  if at > 3 and hashes >= tonumber(ARGV[1]) then break end
  local key, found = ARGV[at], false
  failed = nil
  local state = ARGV[2] == 'ended' and try('HGET', key, 'state')
  local is_open = state == 'queued' or state == 'running'
  local fields = not is_open and not failed and try('HGETALL', key)
  if fields and #fields > 0 then
    local newest = redis.pcall('XREVRANGE', key .. ':events', '+', '-', 'COUNT', 1)
    found = {newest.err or newest[1] and newest[1][1] or '0-0', fields}
    local batches = tonumber(redis.call('HGET', key, 'batches')) or 0
    for n = 0, batches - 1 do
      local batch = try('HGETALL', key .. ':' .. n)
      -- The number may be wrong: what is not there ends the loop.
      if not batch or #batch == 0 then break end
      local states = ARGV[2] ~= 'summary' and redis.pcall('HGETALL', key .. ':' .. n .. ':reduced') or {}
      found[#found + 1] = {batch, states.err or states}
    end
    hashes = hashes + #found
  end
  if failed then found = failed end
  answers[#answers + 1] = found
end
return answers

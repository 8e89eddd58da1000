-- The only way on for a comparison. KEYS[1] is its hash. ARGV: the leader's token, where the step
-- begins ('<position>/<attempt>/<job>', '' where no run is under way), the step as JSON:
--   set: field -> text · drop: fields · sample: text for the list · event: {kind, run}
--   end: {state, error, analysis}, which ends the comparison.
-- Answers ok, stale (another process leads), moved (it is somewhere else) or ended.
if redis.call('HGET', 'bp:cmp:leader', 'token') ~= ARGV[1] then return 'stale' end
local f = redis.call('HMGET', job, 'state', 'position', 'attempt', 'job', 'ttl_ms')
if f[1] ~= 'queued' and f[1] ~= 'running' then return 'ended' end
if f[2] .. '/' .. f[3] .. '/' .. (f[4] or '') ~= ARGV[2] then return 'moved' end
local step = cjson.decode(ARGV[3])
local now = now_ms()
if step['end'] then needs_no_room() end
if f[1] == 'queued' and not step['end'] then
  redis.call('HSET', job, 'state', 'running', 'started_ms', now)
end
for name, value in pairs(step.set or {}) do redis.call('HSET', job, name, value) end
for _, name in ipairs(step.drop or {}) do redis.call('HDEL', job, name) end
if step.sample then redis.call('RPUSH', job .. ':samples', step.sample) end
if step['end'] then
  redis.call('HSET', job, 'state', step['end'].state, 'finished_ms', now)
  if step['end'].error then redis.call('HSET', job, 'error', step['end'].error) end
  local analysis = step['end'].analysis
  if analysis then redis.call('SET', job .. ':analysis', analysis) end
  over_all('ZREM', 'bp:comparing', job)
end
if step.event then emit(step.event.kind, step.event.run) end
if step['end'] then
  tell_end(step['end'].state)
  redis.call('UNLINK', job .. ':slots')
  for _, part in ipairs({'', ':items', ':samples', ':events', ':end', ':analysis'}) do
    redis.call('PEXPIRE', job .. part, f[5])
  end
  over_all('ZADD', 'bp:finished', now + f[5], job)
end
return 'ok'

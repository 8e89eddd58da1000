-- Puts each batch and job back into the indices that it belongs to, and counts anew what is present.
-- KEYS[1] is unused. ARGV: ms until the lease of a running batch that has none ends, then jobs' keys.
-- What cannot be read is left to whoever reads it. Answers the number of batches put back.
local now, back = now_ms(), 0
local sums = {queued = 0, running = 0, queued_items = 0, open_items = 0, reducer_bytes = 0}
local index_of = {queued = 'bp:waiting', parked = 'bp:parked', running = 'bp:leases'}

local function is_hash(key) return redis.call('TYPE', key).ok == 'hash' end

local function index_batch(n, count)
  local key = batch_key(n)
  local state = redis.call('HGET', key, 'state')
  local index = index_of[state]
  if not index then return end
  sums.open_items = sums.open_items + count
  local reserved = tonumber(redis.call('HGET', key, 'reducer_bytes') or 0) or 0
  sums.reducer_bytes = sums.reducer_bytes + reserved
  if state ~= 'running' then sums.queued_items = sums.queued_items + count end
  local since = state == 'running' and now + tonumber(ARGV[1]) or now
  back = back + over_all('ZADD', index, 'NX', since, member(n))
end

for at = 2, #ARGV do
  job = ARGV[at]
  if is_hash(job) then
    local f = redis.call('HMGET', job, 'state', 'submitted_ms', 'deadline_ms', 'queue_deadline_ms')
    local submitted = tonumber(f[2])
    if submitted then over_all('ZADD', 'bp:jobs', 'NX', submitted, job) end
    if f[1] == 'queued' or f[1] == 'running' then
      sums[f[1]] = sums[f[1]] + 1
      local deadline = tonumber(f[3] or f[4] or '')
      if deadline then over_all('ZADD', 'bp:deadlines', 'NX', deadline, job) end
      local n = 0
      while is_hash(batch_key(n)) do
        index_batch(n, tonumber(redis.call('HGET', batch_key(n), 'count')) or 0)
        n = n + 1
      end
    else
      local left = redis.call('PTTL', job)
      if left > 0 then over_all('ZADD', 'bp:finished', 'NX', now + left, job) end
    end
  end
end
for name, value in pairs(sums) do redis.call('HSET', 'bp:counts', name, value) end
return back

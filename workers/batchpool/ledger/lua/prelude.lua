-- Shared by every script that changes a job. KEYS[1] is the job's hash; the job's other keys are
-- built from it, and a batch's member in the global indices is '<job key>|<n>'.
local job = KEYS[1]

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function batch_key(n) return job .. ':' .. n end
local function member(n) return job .. '|' .. n end

-- Changes an index or a count over all jobs. A broken one must not stop a step halfway: the
-- reconciler makes it anew from the jobs. Answers 0 then.
local function over_all(...)
  local answer = redis.pcall(...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  for _, about in ipairs({'WRONGTYPE', 'not an integer', 'not a valid float', 'overflow'}) do
    if string.find(answer.err, about, 1, true) then return 0 end
  end
  error(answer.err, 0)
end

-- What is counted over all jobs, in the same step as what it counts, so that the two never differ.
local function count(what, by) over_all('HINCRBY', 'bp:counts', what, by) end

-- A full Redis lets a script go on that has written something, so these need no memory left: the
-- steps that free some, and those without which the work that is under way would come to nothing.
local function needs_no_room() over_all('ZREM', 'bp:leases', '') end

-- What leaves no room for so many items more, which take `bytes` that are not in Redis yet: the answer
-- {'queued', items that would wait, most} or {'memory', bytes that would be used, most}, else nil.
local function no_room(room, items, bytes)
  local counts = redis.call('HMGET', 'bp:counts', 'queued_items', 'open_items', 'reducer_bytes')
  local queued = tonumber(counts[1] or 0) + items
  if queued > room.queued_items then return {'queued', queued, room.queued_items} end
  -- The arguments of this very call are in used_memory already.
  local info = redis.call('INFO', 'memory')
  local most = tonumber(string.match(info, '\nmaxmemory:(%d+)')) * room.memory_share
  local used = tonumber(string.match(info, '\nused_memory:(%d+)')) + bytes
               + (tonumber(counts[2] or 0) + items) * room.record_bytes + tonumber(counts[3] or 0)
  if most > 0 and used > most then return {'memory', used, math.floor(most)} end
end

-- The version of the job's task in the versions, {"TASK":"16 digits",...}, that a worker has; nil
-- where it has none. The names of tasks are plain, so that the JSON need not be decoded.
local function code_in(versions, spec)
  if not versions or versions == '' then return nil end
  local task = string.match(spec, '^{"task":"([%w_.-]+)"') or cjson.decode(spec).task
  local name = '"' .. task .. '":"'
  local at = string.find(versions, name, 1, true)
  return at and string.sub(versions, at + #name, at + #name + 15)
end

-- Whether the batch was ended by the last block of this very owner.
local function closed(n, token)
  local by = redis.call('HGET', batch_key(n), 'closed_by')
  return by and string.sub(by, 1, #token + 1) == token .. '/'
end

-- Whether the token owns the batch; a write by anybody else is counted where people see it.
local function owns(n, token)
  local key = batch_key(n)
  if redis.call('HGET', key, 'token') == token then return true end
  -- Who ended the batch itself may renew once more before it hears of it.
  if not closed(n, token) and redis.call('EXISTS', key) == 1 then
    needs_no_room()
    redis.call('HINCRBY', key, 'refused', 1)
    redis.call('HSETNX', key, 'refused:' .. (string.match(token, '^%d+') or ''), now_ms())
    count('refused_writes', 1)
  end
  return false
end

-- The number of batches: no more than there are, whatever the job's hash says.
local function batches()
  local said = tonumber(redis.call('HGET', job, 'batches')) or 0
  local n = 0
  while n < said and redis.call('EXISTS', batch_key(n)) == 1 do n = n + 1 end
  return n
end

-- What was stored for an Idempotency-Key; '' where others have put something else there.
local function stored_for(name)
  local found = redis.pcall('GET', name)
  if type(found) == 'table' and found.err then return '' end
  return found
end

-- Carries out by `run`, redis.call or pcall, the commands in ARGV from `at` on, each after the number
-- of its words.
local function carry_out(at, run)
  while ARGV[at] do
    local last = at + tonumber(ARGV[at])
    run(unpack(ARGV, at + 1, last))
    at = last + 1
  end
end

-- The holder of a comparison's slot; nil where there is none, or none that can be read.
local function holder_in(text)
  local is_json, holder = pcall(cjson.decode, text or '')
  return is_json and type(holder) == 'table' and holder or nil
end

-- What is said besides the data of a job must not stop a step halfway: a stream of a wrong type, or
-- one that has no further ids, is made anew.
local function say(stream, ...)
  local answer = redis.pcall('XADD', stream, ...)
  if type(answer) ~= 'table' or not answer.err then return end
  if string.find(answer.err, 'WRONGTYPE') or string.find(answer.err, ' ID') then
    redis.call('UNLINK', stream)
  end
  redis.call('XADD', stream, ...)
end

local function emit(kind, n)
  say(job .. ':events', 'MAXLEN', '~', 256, '*', 'type', kind, 'batch', n)
end

-- In a key of its own: whoever waits for the end alone is not woken by what happens before it.
local function tell_end(state) say(job .. ':end', '*', 'state', state) end

-- A batch that nobody owns is in one index, bp:waiting or bp:parked; nil takes it out.
local function wait_in(index, n, now)
  local was = over_all('ZREM', 'bp:waiting', member(n)) + over_all('ZREM', 'bp:parked', member(n))
  if index then over_all('ZADD', index, now, member(n)) end
  local change = (index and 1 or 0) - was
  if change ~= 0 then count('queued_items', change * redis.call('HGET', batch_key(n), 'count')) end
end

-- Before the first write of a step that claims or ends a batch: what it counts with must be numbers.
local function check_numbers(n)
  local of_job = redis.call('HMGET', job, 'open', 'ttl_ms', 'timeout_ms')
  local of_batch = redis.call('HMGET', batch_key(n), 'count', 'epoch', 'reducer_bytes')
  local found = {open = of_job[1], ttl_ms = of_job[2], timeout_ms = of_job[3],
                 count = of_batch[1], epoch = of_batch[2] or '0', reducer_bytes = of_batch[3] or '0'}
  for name, value in pairs(found) do
    if not value or #value > 15 or not string.match(value, '^%d+$') then
      error(name .. ' of ' .. batch_key(n) .. ' is no number')
    end
  end
end

-- Every key of a finished job gets the same time to live, in the same step that finishes it.
local function expire_job(now)
  local ttl = tonumber(redis.call('HGET', job, 'ttl_ms'))
  for n = 0, batches() - 1 do
    for _, part in ipairs({'', ':bits', ':heads', ':blocks', ':reduced'}) do
      redis.call('PEXPIRE', batch_key(n) .. part, ttl)
    end
  end
  for _, part in ipairs({'', ':items', ':events', ':end'}) do redis.call('PEXPIRE', job .. part, ttl) end
  over_all('ZADD', 'bp:finished', now + ttl, job)
end

local function settle(now)
  local f = redis.call('HMGET', job, 'cancel', 'failed', 'cancelled', 'state')
  local state = 'succeeded'
  if f[3] and f[1] == 'user' then state = 'cancelled'
  elseif f[2] or f[3] then state = 'failed' end
  redis.call('HSET', job, 'state', state, 'finished_ms', now)
  redis.call('HDEL', job, 'deadline_ms')
  over_all('ZREM', 'bp:deadlines', job)
  count(f[4], -1)
  count(state, 1)
  emit('end', '')
  tell_end(state)
  expire_job(now)
end

local function end_epoch(n, now, reason)
  local key = batch_key(n)
  local epoch = redis.call('HGET', key, 'epoch')
  if redis.call('HGET', key, 'token') then
    redis.call('HSET', key, 'ended:' .. epoch, now .. ':' .. reason)
    redis.call('HDEL', key, 'token')
  end
  over_all('ZREM', 'bp:leases', member(n))
end

-- A batch ends once; `rest` is the state of its items that have no record ('' when all have one).
local function end_batch(n, now, state, rest, err, reason)
  check_numbers(n)
  end_epoch(n, now, reason)
  wait_in(nil, n)
  local f = redis.call('HMGET', batch_key(n), 'count', 'reducer_bytes')
  count('open_items', -f[1])
  local reserved = tonumber(f[2] or '')
  if reserved then count('reducer_bytes', -reserved) end
  redis.call('HSET', batch_key(n), 'state', state, 'finished_ms', now, 'rest', rest, 'error', err)
  redis.call('HDEL', batch_key(n), 'parked', 'in_flight')
  if state ~= 'succeeded' then redis.call('HSET', job, state, 1) end
  if err ~= '' then redis.call('HSETNX', job, 'error', err) end
  emit('batch', n)
  if redis.call('HINCRBY', job, 'open', -1) == 0 then settle(now) end
end

local function end_unowned(now, state, rest, err, reason)
  for n = 0, batches() - 1 do
    local s = redis.call('HGET', batch_key(n), 'state')
    if s == 'queued' or s == 'parked' then end_batch(n, now, state, rest, err, reason) end
  end
end

local function timeout_error(kind, field)
  local seconds = tonumber(redis.call('HGET', job, field)) / 1000
  return cjson.encode({type = kind, message = 'the job ran into its limit of ' .. seconds .. ' s',
                       traceback = cjson.null})
end

-- Why a batch must not be run any more, cancelled or timeout; nil when it may run. It is long_overdue
-- when its limit seems to have passed long ago, which may as well be a step of Redis' clock: only the
-- reconciler can tell, so that it ends such a batch, or moves the limit.
local function due(now)
  local f = redis.call('HMGET', job, 'cancel', 'deadline_ms')
  if f[1] then return 'cancelled' end
  local past = f[2] and now - tonumber(f[2]) or -1
  return past > 10000 and 'long_overdue' or past >= 0 and 'timeout' or nil
end

-- Ends a batch that nobody runs, if it must not be run any more.
local function end_if_due(n, now)
  local why = due(now)
  if why == 'cancelled' then
    end_batch(n, now, 'cancelled', 'cancelled', '', 'cancelled')
  elseif why == 'timeout' then
    end_batch(n, now, 'failed', 'timeout', timeout_error('timeout', 'timeout_ms'), 'timeout')
  end
  return why == 'cancelled' or why == 'timeout'
end

local function queue_again(n, now)
  redis.call('HSET', batch_key(n), 'state', 'queued', 'queued_ms', now)
  wait_in('bp:waiting', n, now)
  emit('batch', n)
end

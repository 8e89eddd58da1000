-- ARGV: n, random part of the token, lease ms, the owner as JSON, the token of the epoch that this
-- one follows on the same worker or '', why that one ended ('stopped': only to write what its runner
-- had finished, whatever has become of the job; ',kept' behind it: there is such a record, so that
-- a batch that must end does not, and the answer is 'due'), the versions of tasks there as JSON or '', why the batch is begun a second time, or '', then the commands that take the batch's message out of
-- its queue, whatever the answer is, each after the number of its words.
-- For n = 'next', KEYS[1] is a list of ids of messages, and the batch is the first in it; for
-- n = 'lost' it is the one that was claimed so with this random part. Its message leaves the list.
-- Where the reason is 'overdue', the reconciler ends the batch, or moves its limit and queues it again.
-- Answers {'no', reason, id of the message} or {'yes', now, token, spec, deadline, listed, batch's
-- fields, bitmap, states of reducers by name, id of the message}.
local n, message = ARGV[1], ''

local function unqueue()
  if message ~= '' then
    redis.pcall('LREM', KEYS[1], 0, message)
    redis.pcall('UNLINK', 'rq:job:' .. message)
  end
  carry_out(9, redis.pcall)
end

local function no(why)
  unqueue()
  return {'no', why, message}
end

if n == 'next' then
  -- The first: of clients that were woken together each finds the one that it has popped itself.
  local popped = redis.pcall('LRANGE', KEYS[1], 0, 9)
  for at = #popped, 1, -1 do
    local id, number = string.match(popped[at], '^([0-9a-f]+)%-(%d+)$')
    if id and #id == 24 and #number < 10 then
      job, n, message = 'bp:job:' .. id, number, popped[at]
    end
  end
  if message == '' then return no('no batch') end
elseif n == 'lost' then
  for _, running in ipairs(redis.call('ZRANGE', 'bp:leases', 0, -1)) do
    local of, number = string.match(running, '^(.*)|(%d+)$')
    local token = of and redis.pcall('HGET', of .. ':' .. number, 'token')
    if type(token) == 'string' and string.sub(token, -#ARGV[2] - 1) == ':' .. ARGV[2] then
      job, n, message = of, number, string.sub(of, 8) .. '-' .. number
    end
  end
  if message == '' then return no('no batch') end
end

local function total(counts)
  local sum = 0
  for _, count in pairs(counts) do sum = sum + count end
  return sum
end

local key = batch_key(n)
local f = redis.call('HMGET', key, 'state', 'token')
local state = f[1]
if not state then return no('missing') end

local function claimed(now, token)
  over_all('ZADD', 'bp:leases', now + tonumber(ARGV[3]), member(n))
  unqueue()
  return {'yes', tostring(now), token, redis.call('HGET', job, 'spec'),
          redis.call('HGET', job, 'deadline_ms'),
          redis.call('HEXISTS', job, 'item_blocks') + redis.call('EXISTS', job .. ':items'),
          redis.call('HGETALL', key), redis.call('GET', key .. ':bits') or '',
          redis.call('HGETALL', key .. ':reduced'), message}
end

-- The answer to this very claim was lost: its owner asks once more.
if f[2] and string.sub(f[2], -#ARGV[2] - 1) == ':' .. ARGV[2] then
  local now = now_ms()
  redis.call('HSET', key, 'started:' .. redis.call('HGET', key, 'epoch'), now)
  return claimed(now, f[2])
end
local follows = ARGV[5] ~= '' and f[2] == ARGV[5]
if state ~= 'queued' and not follows then return no(state) end
-- Once, and only while no item was recorded under the claim that this one follows.
if ARGV[8] ~= '' and (not follows or redis.call('HEXISTS', key, 'second_try') == 1
                      or redis.call('HEXISTS', key, 'block') == 1) then
  return no('no second try')
end
local spec = redis.call('HGET', job, 'spec')
local code = code_in(ARGV[7], spec)
local bound = redis.call('HGET', job, 'code')
if code and bound and bound ~= code then return no('other version') end
-- What could be refused is refused before the first write.
check_numbers(n)
redis.call('HLEN', key .. ':reduced')
local recorded, tally = redis.call('BITCOUNT', key .. ':bits'), redis.call('HGET', key, 'tally')
local now = now_ms()
if tally and recorded ~= total(cjson.decode(tally).counts) then
  -- Items would run, and count, twice.
  local message = 'broken data: ' .. key .. ':bits has ' .. recorded .. ' records, the tally others'
  end_batch(n, now, 'failed', 'cancelled', cjson.encode({type = 'internal', message = message,
    traceback = cjson.null}), 'broken')
  return no('ended')
end
local why, kept = string.match(ARGV[6], '^(%l*)(.*)$')
local must_end = due(now)
if must_end == 'long_overdue' then
  -- An owner goes on: it knows the limit by a clock of its own.
  if not follows then return no('overdue') end
  must_end = nil
end
if kept ~= '' and must_end then return no('due') end
if follows then end_epoch(n, now, why) end
if why ~= 'stopped' and end_if_due(n, now) then return no('ended') end
if ARGV[8] ~= '' then redis.call('HSET', key, 'second_try', ARGV[8]) end
local epoch = redis.call('HINCRBY', key, 'epoch', 1)
local token = epoch .. ':' .. ARGV[2]
redis.call('HSET', key, 'state', 'running', 'token', token, 'owner:' .. epoch, ARGV[4],
           'started:' .. epoch, now)
redis.call('HSETNX', key, 'started_ms', now)
if code then
  redis.call('HSET', job, 'code', code)
  redis.call('HINCRBY', job, 'begun', 1)
end
redis.call('HDEL', key, 'block')
wait_in(nil, n)
-- There only while workers are reserved: an ordinary claim pays for this one look.
if redis.call('TYPE', 'bp:reserved').ok == 'hash' then
  local host = cjson.decode(ARGV[4]).host
  if redis.call('HEXISTS', 'bp:reserved', host) == 1 then
    -- A count that is no number is the reconciler's to find; it must not stop a claim halfway.
    redis.pcall('HINCRBY', 'bp:reserved', host, 1)
  end
end
if redis.call('HSETNX', job, 'started_ms', now) == 1 then
  local deadline = now + tonumber(redis.call('HGET', job, 'timeout_ms'))
  redis.call('HSET', job, 'state', 'running', 'deadline_ms', deadline)
  redis.call('HDEL', job, 'queue_deadline_ms')
  over_all('ZADD', 'bp:deadlines', deadline, job)
  count('queued', -1)
  count('running', 1)
  emit('job', '')
end
emit('batch', n)
return claimed(now, token)

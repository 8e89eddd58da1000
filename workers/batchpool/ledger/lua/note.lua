-- What was found after the last block had ended the batch. ARGV: n, token of its owner, JSON.
local n = ARGV[1]
if closed(n, ARGV[2]) then
  needs_no_room()
  redis.call('HSET', batch_key(n), 'leftovers', ARGV[3])
end
return 'ok'

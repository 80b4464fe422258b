-- Evicts sessions whose lease ended longer than grace ago, at most 16.
-- ARGV: node, epoch, term, grace. Reply: OK, "node:epoch"... | refusal
local node, epoch, term, grace = take(), take(), take(), tonumber(take())
local refused = led(node, epoch, term)
if refused then return {refused} end
local reply = {OK}
for _, n in ipairs(call('ZRANGEBYSCORE', LEASE, '-inf', '(' .. num(NOW - grace), 'LIMIT', 0, 16)) do
  local e = string.match(call('HGET', SESS, n) or '', '^%d+')
  call('HDEL', SESS, n)
  call('HDEL', INFO, n)
  call('ZREM', LEASE, n)
  if e then
    call('HSET', DEAD, n .. ':' .. e, num(NOW))
    reply[#reply + 1] = n .. ':' .. e
  end
  bump('leave', n, '', '')
end
return reply

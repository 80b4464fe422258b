-- Evicts sessions whose lease ended longer than grace ago, at most 16.
-- ARGV: node, epoch, term, ttl, grace, force (1: also when more than half are due).
-- Reply: OK, held back, when the next one is due (0: none), "node:epoch"... | refusal
local node, epoch, term = take(), take(), take()
local ttl, grace, force = tonumber(take()), tonumber(take()), take()
local refused = led(node, epoch, term)
if refused then return {refused} end
local before = '(' .. num(NOW - grace)
local due, held = call('ZCOUNT', LEASE, '-inf', before), 0
local reply = {OK, 0, '0'}
if force ~= '1' and 2 * due > call('ZCARD', LEASE) then
  held = due
else
  for _, n in ipairs(call('ZRANGEBYSCORE', LEASE, '-inf', before, 'LIMIT', 0, 16)) do
    local e = string.match(call('HGET', SESS, n) or '', '^%d+')
    if e then
      bury_later(n, e, nil, ttl)
      reply[#reply + 1] = n .. ':' .. e
    end
    forget(n)
    bump('leave', n, '', '')
  end
end
reply[2] = held
-- The caller itself lives; those held back are due already.
for _, n in ipairs(call('ZRANGEBYSCORE', LEASE, held > 0 and num(NOW - grace) or '-inf', '+inf', 'LIMIT', 0, 2)) do
  if n ~= node then
    reply[3] = num(call('ZSCORE', LEASE, n) + grace + 1)
    break
  end
end
return reply

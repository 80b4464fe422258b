-- Extends a lease and takes, keeps or gives up the leadership.
-- ARGV: node, epoch, ttl, grace, wantLead. An expired session is not revived.
-- Reply: OK, now, version, notBefore, incarnation, leader (0/1), term, end of
-- another's lead (0: none) | LOST
local node, epoch, ttl, grace, want = take(), take(), tonumber(take()), tonumber(take()), take()
if not deadline(node, epoch) then return {LOST} end
call('ZADD', LEASE, num(NOW + ttl), node)

local before = num(not_before())
local meta = call('HMGET', META, 'ver', 'inc', 'hlc')
local l = call('HMGET', LEADER, 'n', 'e', 'term', 'dl')
local mine, term, other = l[1] == node and l[2] == epoch, '0', '0'
if mine and want == '1' then
  term = l[3]
  call('HSET', LEADER, 'dl', num(NOW + ttl))
elseif mine then
  call('DEL', LEADER)
else
  local s = l[1] and call('HGET', SESS, l[1])
  local gone = not s or string.match(s, '^%d+') ~= l[2]
  gone = gone or (tonumber(l[4] or '0') or 0) + grace < NOW
  if not gone then
    other = l[4]
  elseif want == '1' then
    term = num(after(meta[3]))
    call('HSET', META, 'hlc', term)
    call('HSET', LEADER, 'n', node, 'e', epoch, 'term', term, 'dl', num(NOW + ttl))
  end
end
return {OK, num(NOW), meta[1] or '0', before, meta[2] or '', term == '0' and 0 or 1, term, other}

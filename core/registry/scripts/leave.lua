-- Ends a session at once. ARGV: node, epoch. Reply: OK | NONE when it is gone.
local node, epoch = take(), take()
local s = call('HGET', SESS, node)
if not s or string.match(s, '^%d+') ~= epoch then return {NONE} end
call('HDEL', SESS, node)
call('HDEL', INFO, node)
call('ZREM', LEASE, node)
call('HSET', DEAD, node .. ':' .. epoch, num(NOW))
local l = call('HMGET', LEADER, 'n', 'e')
if l[1] == node and l[2] == epoch then call('DEL', LEADER) end
bump('leave', node, '', '')
return {OK}

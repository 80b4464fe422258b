-- Ends a session at once. ARGV: node, epoch, ttl, last instant that the node fires
-- (0: not known). Reply: OK | NONE when it is gone.
local node, epoch, ttl, stopped = take(), take(), tonumber(take()), take()
local s = call('HGET', SESS, node)
if not s or string.match(s, '^%d+') ~= epoch then return {NONE} end
bury_later(node, epoch, stopped ~= '0' and stopped, ttl)
forget(node)
local l = call('HMGET', LEADER, 'n', 'e')
if l[1] == node and l[2] == epoch then call('DEL', LEADER) end
bump('leave', node, '', '')
return {OK}

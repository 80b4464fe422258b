-- Replaces what an instance says of itself. ARGV: node, epoch, info, jobs that it
-- hosts newly or no longer... Reply: OK | LOST
local node, epoch, info = take(), take(), take()
if not deadline(node, epoch) then return {LOST} end
call('HSET', INFO, node, info)
mark_dirty(known(arg + 1), bump('host', node, '', ''))
return {OK}

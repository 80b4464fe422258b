-- Begins the farewell of a node: it gets no items any more.
-- ARGV: node, epoch, last instant that it fires, jobs that it may own...
-- Reply: OK | LOST
local node, epoch, stopped = take(), take(), take()
if not deadline(node, epoch) then return {LOST} end
call('HSETNX', STOP, node, stopped)
mark_dirty(known(arg + 1), bump('depart', node, '', ''))
return {OK}

-- Begins the farewell of a node: it gets no items any more.
-- ARGV: node, epoch, instant up to which it may have fired, exact (1: that is the
-- last, however late it is said), jobs that it may own...
-- Reply: OK, last instant that it fires | LOST
local node, epoch, fired, exact = take(), take(), tonumber(take()), take()
if not deadline(node, epoch) then return {LOST} end
call('HSETNX', STOP, node, num(exact == '1' and fired or math.max(fired, NOW)))
mark_dirty(known(arg + 1), bump('depart', node, '', ''))
return {OK, call('HGET', STOP, node)}

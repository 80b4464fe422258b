-- Forgets a dead session whose jobs are all drained.
-- ARGV: node, epoch, term, "dead node:its epoch". Reply: OK | refusal
local node, epoch, term = take(), take(), take()
local refused = led(node, epoch, term)
if refused then return {refused} end
call('HDEL', DEAD, take())
return {OK}

-- Keeps what a running item has saved. ARGV: node, epoch, name, fence, item, data.
-- Reply: OK | LOST | NONE (it does not run under that fence any more)
local node, epoch = take(), take()
if not deadline(node, epoch) then return {LOST} end
local k, _, fence, item, data = job(1), take(), take(), take(), take()
for _, m in ipairs(marks(call('HGET', k.r, node))) do
  if m.f == fence and m.e == epoch and unranges(m.it, {}, true)[tonumber(item)] then
    call('HSET', k.cp, item, fence .. '|' .. data)
    return {OK}
  end
end
return {NONE}

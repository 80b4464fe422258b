-- Says how far the calls of listeners are that are made once for a run.
-- ARGV: node, epoch, number of requests, then for each: name, run, fence, moment (b:
-- before, a: after), act (A: ask, D: the calls are made, X: the time is over).
-- Reply: OK, for each gathered | LOST. gather.lua stands before this.
local node, epoch, count = take(), take(), tonumber(take())
if not deadline(node, epoch) then return {LOST} end

local function meet(k, name, run, fence, moment, act)
  local g = read_run(k, run)
  -- Nobody knows of it any more, so nobody calls.
  if not g then return gathered(run, nil, act == 'D' and GO or FORSAKEN) end
  local who = fence .. ',' .. epoch .. ',' .. node
  local before, what = g[moment], GO
  if act == 'D' then
    if before == 'C,' .. who then g[moment] = 'D' end
  else
    what = turn(k, run, g, moment, who, true, true, act == 'X')
  end
  local state = string.sub(g[moment], 1, 1)
  if g[moment] ~= before and (state == 'D' or state == 'X') and string.find(g.waiting, moment, 1, true) then
    tell_later(moment == 'b' and 'before' or 'after', run, name)
  end
  -- When the last item has ended before the listeners were called, those that
  -- wait for the end may ask.
  if g[moment] ~= before and moment == 'b' and is_due(k, run, g, 'a', false) then
    tell_later('gathered', run, name)
  end
  write_run(k, run, g)
  return gathered(run, g, what)
end

local reply = {OK}
for i = 1, count do reply[#reply + 1] = meet(job(i), take(), take(), take(), take(), take()) end
tell_all()
return reply

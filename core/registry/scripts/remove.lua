-- Removes jobs with all that belongs to them. ARGV: number of jobs, names...
-- Reply: OK, number removed
local count = tonumber(take())
local gone = {}
for i = 1, count do
  local k, name = job(i), take()
  if call('EXISTS', k.j) == 1 then gone[#gone + 1] = name end
  local down = call('HGET', k.d, 'down')
  call('DEL', k.j, k.a, k.r, k.hw, k.m, k.f, k.q, k.st, k.cp, k.t, k.g, k.d)
  -- Those that depend on it do so again when it is back.
  if down then call('HSET', k.d, 'down', down) end
  call('ZREM', RUNS, name)
  call('HDEL', JOBS, name)
  call('ZREM', DIRTY, name)
end
if #gone > 0 then bump('removed', '', table.concat(gone, ','), '') end
return {OK, #gone}

-- Makes a job depend on another, whether that exists or not. ARGV: the other job, the
-- one that depends on it. Reply: OK | NONE when it was so already
local k = job(1)
local _, name = take(), take()
local names = {}
for one in string.gmatch(call('HGET', k.d, 'down') or '', '[^,]+') do names[one] = true end
local exists = call('EXISTS', k.j) == 1
if names[name] and (not exists or call('HEXISTS', k.j, 'ds') == 1) then return {NONE} end
names[name] = true
local down = table.concat(sorted(names), ',')
call('HSET', k.d, 'down', down)
if exists then call('HSET', k.j, 'ds', down) end
return {OK}

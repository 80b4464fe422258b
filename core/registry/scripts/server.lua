-- Sets the desired state of a server for all jobs.
-- ARGV: server, E or D, by. Reply: OK | NONE when it was so already
local name, want, by = take(), take(), take()
local was = call('HEXISTS', OFF, name) == 1
if was == (want == 'D') then return {NONE} end
if want == 'D' then
  call('HSET', OFF, name, 'D,' .. by .. ',' .. num(NOW))
else
  call('HDEL', OFF, name)
end
mark_dirty(call('HKEYS', JOBS), bump('state', name, '', ''))
return {OK}

-- Sets the desired state of a job, an item or a job on an instance.
-- ARGV: job, scope ('', 'item:<i>', 'node:<server>'), E or D, by.
-- Reply: OK | NONE when it was so already | NOJOB | GONE when there is no such item
local k = job(1)
local name, scope, want, by = take(), take(), take(), take()
local s = call('HMGET', k.j, 'st', 'gen', 'dn', 'nd', 'fl', 'n', 'how', 'an')
if not s[1] then return {NOJOB} end
local stamp = 'D,' .. by .. ',' .. num(NOW)
local node, item = string.match(scope, '^node:(.*)$'), string.match(scope, '^item:(%d+)$')
if item and tonumber(item) >= tonumber(s[7] == 'B' and s[8] or s[6]) then return {GONE} end
if scope == '' then
  if s[1] == want then return {NONE} end
  call('HSET', k.j, 'st', want)
  if want == 'E' then
    call('HSET', k.j, 'fl', num(math.max(tonumber(s[5] or '0'), NOW)))
    raise(k)
  end
else
  local was = call('HEXISTS', k.st, scope) == 1
  if was == (want == 'D') then return {NONE} end
  if want == 'D' then call('HSET', k.st, scope, stamp) else call('HDEL', k.st, scope) end
end
if item then
  local off = unranges(s[3] or '', {}, true)
  off[tonumber(item)] = want == 'D' and true or nil
  call('HSET', k.j, 'dn', ranges(off))
end
if node then
  call('HINCRBY', k.j, 'nd', want == 'D' and 1 or -1)
  -- What was due while nobody was allowed to run it is not missed.
  if want == 'E' then raise(k, node) end
end
local ver = bump('state', node or '', name, s[2] or '0')
if node then mark_dirty({name}, ver) end
return {OK}

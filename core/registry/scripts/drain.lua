-- Takes the marks of a dead session out of jobs: they are queued for failover,
-- or lost when the job has none or no longer has the item. ARGV: node, epoch, term, dead node, its epoch,
-- number of jobs, names... Reply: OK, one "items@T;..." of lost ones per job | refusal
local node, epoch, term = take(), take(), take()
local dead, old, count = take(), take(), tonumber(take())
local refused = led(node, epoch, term)
if refused then return {refused} end
local reply, names, dirty = {OK}, {}, {}
for i = 1, count do
  local k, name = job(i), take()
  local keep, moved, foreign, lost = {}, {}, 0, {}
  local s = call('HMGET', k.j, 'gen', 'fo', 'an', 'gr', 'how', 'ds')
  -- What an instance was told by a broadcast is not another one's to do.
  local n = s[2] == '1' and s[5] ~= 'B' and tonumber(s[3] or '0') or 0
  local own = marks(call('HGET', k.r, dead))
  for _, m in ipairs(own) do
    if m.e ~= old then
      keep[#keep + 1] = m
    else
      if m.g ~= s[1] then foreign = foreign + 1 end
      local ended = {}
      for _, item in ipairs(sorted(unranges(m.it, {}, true))) do
        if item < n then
          moved[#moved + 1] = num(item)
          moved[#moved + 1] = m.t .. '|' .. m.k .. '|' .. m.f .. '|' .. dead .. '|' .. m.e
        else
          ended[item] = true
        end
      end
      if next(ended) then
        lost[#lost + 1] = ranges(ended) .. '@' .. m.t
        if s[6] then spoil(k, m.t) end
        if is_manual(m) and settle(k, m.t, ended, 'L') then over[#over + 1] = name end
      end
    end
  end
  local gathers = s[4] and gather_dead(k, dead, old, own, n)
  if #keep < #own then
    put_marks(k.r, dead, keep)
    chunked('HSET', k.f, moved)
    if foreign > 0 then call('HINCRBY', k.j, 'x', -foreign) end
  end
  if #keep < #own or gathers then names[#names + 1] = name end
  if call('HEXISTS', k.a, dead) == 1 then dirty[#dirty + 1] = name end
  reply[#reply + 1] = table.concat(lost, ';')
end
if #names > 0 or #dirty > 0 then
  mark_dirty(dirty, bump('drain', dead, table.concat(names, ','), ''))
end
tell_manual(dead)
return reply

-- Ends items of a mark. ARGV: node, epoch, number of reports, then for each:
-- name, fence, items, outcome (S, F, C, or B: given back, they were not started; what
-- was taken over waits for failover again), the run that is gathered ('': none).
-- Reply: OK, for each {OK, released, hasFailover, hasMisfire, hasQueued, 0 or
-- gathered} | LOST. With a run, or an item of a manual run, gather.lua and manual.lua
-- stand before this.
local node, epoch, count = take(), take(), tonumber(take())
if not deadline(node, epoch) then return {LOST} end
local reply, names, gens, ran, given, waited, triggers = {OK}, {}, {}, {}, {}, {}, false

-- give_back lets others take items over that were taken over here, and tells which
-- do not exist any more.
local function give_back(k, name, m, items, n)
  local set, gone = {}, {}
  for _, item in ipairs(sorted(items)) do
    if item < n then
      set[#set + 1] = num(item)
      set[#set + 1] = table.concat({m.t, 'F', m.f, node, epoch}, '|')
    else
      gone[item] = true
    end
  end
  chunked('HSET', k.f, set)
  if #set > 0 then given[#given + 1] = name end
  return gone
end

-- split tells which items of a mark are done, and which are left.
local function split(text, done)
  local ended, left = {}, {}
  for item in pairs(unranges(text, {}, true)) do
    if done[item] then ended[item] = true else left[item] = true end
  end
  return ended, ranges(left)
end

local function complete(k, name, fence, items, outcome, run)
  local done, freed, rest, back = unranges(items, {}, true), {}, false, false
  local own = marks(call('HGET', k.r, node))
  -- Of most jobs nothing is kept and nothing waits.
  local some = call('EXISTS', k.cp, k.f, k.m, k.q) > 0 or outcome == 'B'
  for i, m in ipairs(own) do
    if m.f == fence and m.e == epoch then
      local ended, left = done, ''
      if items ~= m.it then ended, left = split(m.it, done) end
      local s = call('HMGET', k.j, 'gen', 'how', 'ds')
      local gen, foreign = s[1], m.g ~= s[1]
      m.it = left
      rest = m.it ~= ''
      if m.it == '' then
        table.remove(own, i)
        if foreign then call('HINCRBY', k.j, 'x', -1) end
        if s[2] == 'E' then ran[#ran + 1] = name end
        if s[3] then waited[#waited + 1] = name end
      end
      put_marks(k.r, node, own)
      if outcome == 'B' and m.k == 'F' then
        ended = give_back(k, name, m, ended, tonumber(call('HGET', k.j, 'an') or '0'))
        outcome, back = 'C', true
        if run ~= '' then gather_gone(k, run, ended) end
      end
      if s[3] and outcome ~= 'S' and next(ended) then spoil(k, m.t) end
      if string.find(m.t, '%D') then
        local mine = outcome == 'B' and s[2] == 'B' and ungroup(call('HGET', k.a, node) or '', {})
        end_manual(k, name, m.t, ended, outcome, mine)
        triggers = true
      end
      if outcome == 'S' and some and call('HLEN', k.cp) > 0 then
        local list = {}
        for _, item in ipairs(sorted(ended)) do list[#list + 1] = num(item) end
        chunked('HDEL', k.cp, list)
      end
      if foreign and next(ended) then
        freed = ended
        names[#names + 1] = name
        gens[#gens + 1] = gen
      end
      break
    end
  end
  local all = run ~= '' and not back and gather_ended(k, run, fence .. ',' .. epoch .. ',' .. node, items, outcome, rest) or 0
  if not some then return {OK, ranges(freed), 0, 0, 0, all} end
  return {OK, ranges(freed), call('HLEN', k.f), call('HLEN', k.m), call('HLEN', k.q), all}
end

for i = 1, count do reply[#reply + 1] = complete(job(i), take(), take(), take(), take(), take()) end
-- The new owners of these items may try what they had to hold back.
if #names > 0 then bump('released', node, table.concat(names, ','), table.concat(gens, ',')) end
if #given > 0 then bump('drain', node, table.concat(given, ','), '') end
-- A run is over, after which the strategies of these are asked again.
if #ran > 0 then mark_dirty(ran, bump('ran', node, table.concat(ran, ','), '')) end
-- A run may be over on whose end other jobs wait.
if #waited > 0 then bump('ended', node, table.concat(waited, ','), '') end
if triggers then tell_manual(node) end
return reply

-- Decides which of a node's items run now, and marks them as running.
-- ARGV: node, epoch, number of firings, then for each: generation, kind (N, M or O),
-- T (of O: items that still run on the node all the same), req, name, gathers (0 or
-- 1). Reply: OK, lease deadline, for each {code, fence, items, held, coalesced, T, 0
-- or gathered} or {STALE, generation} | refusal. With the code OVER other jobs have
-- been told that the run has ended, and held are those that may not begin in it any
-- more. Items of kind O follow at as T and,
-- at the end, id, more (1: other triggers wait), parameter given (0 or 1), parameter.
-- A normal instant that is more than AHEAD ms in the future is refused: what is decided
-- of an item counts up to there, and a clock that is wrong would silence it until then.
-- With gathers 1 or kind O gather.lua and manual.lua stand before this.
local AHEAD = 5000
local node, epoch, count = take(), take(), tonumber(take())
if quarantined() then return {QUARANTINE} end
local until_ms = deadline(node, epoch)
if not until_ms then return {LOST} end
local off = call('HEXISTS', OFF, server(node)) == 1

-- normal splits mine into items that go and items that are held.
local function normal(k, mine, busy, flags, trig, misfire)
  local t, go, held, old, set, del = tonumber(trig), {}, {}, {}, {}, {}
  for _, item in ipairs(sorted(mine)) do
    if mine[item] < t then
      local flag = flags[item]
      if not busy[item] then
        go[item] = true
        if flag then
          old[item] = tonumber(flag)
          del[#del + 1] = num(item)
        end
      else
        held[item] = true
        if misfire then
          if flag then old[item] = tonumber(flag) end
          set[#set + 1] = num(item)
          set[#set + 1] = trig
        end
      end
    end
  end
  chunked('HSET', k.m, set)
  chunked('HDEL', k.m, del)
  return go, ranges(held), group(old)
end

-- catchup picks the earliest missed instant among the free items of mine.
local function catchup(k, mine, busy, flags)
  local first, go, del = nil, {}, {}
  for item in pairs(mine) do
    local t = tonumber(flags[item] or '')
    if t and not busy[item] and (not first or t < first) then first = t end
  end
  if not first then return '0', go end
  for _, item in ipairs(sorted(mine)) do
    if tonumber(flags[item] or '') == first and not busy[item] then
      go[item] = true
      del[#del + 1] = num(item)
    end
  end
  chunked('HDEL', k.m, del)
  return num(first), go
end

-- Of a job that broadcasts the node itself is busy, whatever its item is now.
local function busy_items(k, own, foreign, mine, how)
  local busy = {}
  if #own >= (how == 'B' and 1 or MAXMARKS) then return mine end
  if how == 'B' then return busy end
  if foreign then
    for _, v in ipairs(call('HVALS', k.r)) do
      for _, m in ipairs(marks(v)) do unranges(m.it, busy, true) end
    end
  else
    for _, m in ipairs(own) do unranges(m.it, busy, true) end
  end
  for _, item in ipairs(call('HKEYS', k.f)) do busy[tonumber(item)] = true end
  return busy
end

local function begin(k, name, gen, kind, trig, req)
  local s = call('HMGET', k.j, 'gen', 'st', 'x', 'tok', 'dn', 'nd', 'ds')
  if not s[1] then return {NOJOB} end
  local own = marks(call('HGET', k.r, node))
  local last, lastreq, lastheld, lastold, asked = decided(k, node)
  local again = kind == 'N' and lastreq == req
  for _, m in ipairs(own) do
    if m.e == epoch and m.q == req then
      if kind == 'O' then return grant_manual(k, m.f, m.it, '', m.t, 1) end
      return {OK, m.f, m.it, again and lastheld or '', again and lastold or '', m.t}
    end
  end
  if again then return {NONE, '0', '', lastheld, lastold, last} end
  if kind ~= 'N' and is_late(k, node, epoch, req) then return {NONE, '0', '', '', '', '0'} end
  if s[2] == 'D' or off then return {DISABLED} end
  if tonumber(s[6] or '0') > 0 and call('HEXISTS', k.st, 'node:' .. server(node)) == 1 then
    return {DISABLED}
  end
  if s[1] ~= gen then return {STALE, s[1]} end
  if kind == 'N' and tonumber(trig) <= tonumber(last) then return {DUP} end
  if kind == 'N' and tonumber(trig) > NOW + AHEAD then return {EARLY} end

  local a, foreign = call('HGET', k.a, node) or '', tonumber(s[3]) > 0
  local apart = call('EXISTS', k.m, k.f) > 0
  local whole, floor = string.match(a, '^([^@;]+)@(%d+)$')
  local over = kind == 'N' and s[7] and string.find(call('HGET', k.d, trig) or '', '^[ET]')
  local items, held, old, more = '', '', '', 0
  if kind == 'N' and not over and whole and tonumber(floor) < tonumber(trig) and #own == 0 and not foreign
    and not apart and (s[5] or '') == '' then
    items = whole
  else
    local mine, flags, go = ungroup(a, {}), {}, nil
    unranges(s[5] or '', mine, nil)
    local how, misfire = unpack(call('HMGET', k.j, 'how', 'mis'))
    local busy = busy_items(k, own, foreign, mine, how)
    local missed = apart and call('HLEN', k.m) > 0
    if missed then
      local h = call('HGETALL', k.m)
      for i = 1, #h, 2 do flags[tonumber(h[i])] = h[i + 1] end
    end
    if over then
      go, held, old = normal(k, mine, mine, flags, trig, false)
    elseif kind == 'N' then
      go, held, old = normal(k, mine, busy, flags, trig, misfire == '1')
    elseif kind == 'O' then
      trig, go, held, more = pick_manual(k, mine, busy, unranges(trig, {}, true))
    else
      trig, go = catchup(k, mine, busy, flags)
    end
    items = ranges(go)
  end
  if kind == 'N' then call('HSET', k.hw, node, table.concat({trig, req, held, old, asked}, '|')) end
  if items == '' then return {over and OVER or NONE, '0', '', held, old, trig} end
  local fence = num(after(s[4]))
  call('HSET', k.j, 'tok', fence)
  own[#own + 1] = {f = fence, e = epoch, g = s[1], k = kind, t = trig, q = req, it = items}
  put_marks(k.r, node, own)
  if s[7] then open_run(k, name, trig) end
  if kind == 'O' then return grant_manual(k, fence, items, held, trig, more) end
  return {OK, fence, items, held, old, trig}
end

local reply, gathers = {OK, until_ms}, false
for i = 1, count do
  local k, gen, kind, trig, req, name, all = job(i), take(), take(), take(), take(), take(), take()
  local r = begin(k, name, gen, kind, trig, req)
  if r[1] == OVER then r[7] = 0 end
  if r[1] == OK or r[1] == NONE then
    r[7] = 0
    local t = all == '1' and kind == 'O' and r[1] == OK and trigger(k, r[8])
    if all == '1' and kind == 'N' or t then
      r[7] = gather_begun(k, name, node, epoch, r, t and r[8], t and t.accepted)
      gathers = true
    end
  end
  reply[#reply + 1] = r
end
if gathers then tell_all() end
return reply

-- Makes the marks of a session those of what its node runs: the server may have lost
-- some, and have others back. It is answered in a quarantine too, which it is for.
-- ARGV: node, epoch, number of jobs, then for each: name, the number of this request, the
-- newest fence that it has heard of, number of marks, then for each: fence, kind, T-or-id, items.
-- Reply: OK, for each {OK, marked again, refused, ended, given back, lost}, each as
-- "items@T;...", or {NOJOB}, or {DUP}: a request of this number was served | LOST
-- Refused is what runs elsewhere under a newer fence. What the node does not run has
-- ended, or was marked by a request that it has not heard the answer of: that waits for
-- its turn again, or is lost.
local node, epoch, count = take(), take(), tonumber(take())
if not deadline(node, epoch) then return {LOST} end
local freed, failed, waited = {}, {}, {}

local function note(list, items, t)
  if next(items) then list[#list + 1] = ranges(items) .. '@' .. t end
end

-- split takes the items out of a set that are in another one.
local function split(set, other)
  local both = {}
  for item in pairs(other) do
    if set[item] then set[item], both[item] = nil, true end
  end
  return both
end

-- free ends items of a mark that the node does not run; of one that it has not heard
-- of they wait again, if anything can run them.
local function free(k, name, s, m, items, heard, said)
  if heard then
    if is_manual(m) and settle(k, m.t, items, 'L') then over[#over + 1] = name end
    note(said.ended, items, m.t)
  elseif m.k == 'O' then
    end_manual(k, name, m.t, items, 'B', s.how == 'B' and ungroup(call('HGET', k.a, node) or '', {}))
    note(said.back, items, m.t)
    return
  else
    local back, set = {}, {}
    local claimed = m.k == 'F' or s.fo == '1' and s.how ~= 'B'
    for _, item in ipairs(sorted(items)) do
      if item < s.an and (claimed or s.mis == '1') then
        back[item] = true
        -- A later instant that is missed takes the place of this one.
        if claimed or tonumber(call('HGET', k.m, num(item)) or '0') < tonumber(m.t) then
          set[#set + 1] = num(item)
          set[#set + 1] = claimed and table.concat({m.t, m.k, m.f, node, epoch}, '|') or m.t
        end
      end
    end
    split(items, back)
    chunked('HSET', claimed and k.f or k.m, set)
    if claimed and #set > 0 then failed[#failed + 1] = name end
    if is_manual(m) and settle(k, m.t, items, 'L') then over[#over + 1] = name end
    note(said.back, back, m.t)
    note(said.lost, items, m.t)
    if claimed then back = {} end
    for item in pairs(back) do items[item] = true end
  end
  if s.gr then gather_gone(k, m.t, items) end
  if s.ds and next(items) then
    -- Nobody knows any more that they succeeded.
    spoil(k, m.t)
    waited[#waited + 1] = name
  end
end

-- seize takes what the node runs from older holders, and returns what newer ones have.
local function seize(k, s, fence, items)
  local newer, gone = {}, {}
  local h = call('HGETALL', k.r)
  for i = 1, #h, 2 do
    local keep, changed = {}, false
    for _, m in ipairs(marks(h[i + 1])) do
      local set = unranges(m.it, {}, true)
      local both = split(set, items)
      if tonumber(m.f) > fence then
        for item in pairs(both) do newer[item] = true end
      elseif next(both) then
        m.it, changed = ranges(set), true
      end
      if m.it ~= '' then keep[#keep + 1] = m elseif m.g ~= s.gen then s.x = s.x - 1 end
    end
    if changed then put_marks(k.r, h[i], keep) end
  end
  for item in pairs(call('HLEN', k.f) > 0 and items or {}) do
    local f = string.match(call('HGET', k.f, num(item)) or '', '^[^|]*|%a|(%d+)|')
    if f and tonumber(f) > fence then
      newer[item] = true
    elseif f then
      gone[#gone + 1] = num(item)
    end
  end
  chunked('HDEL', k.f, gone)
  return newer
end

-- decide makes what the node runs decided: no owner begins it again.
local function decide(k, m, items)
  if is_manual(m) then
    for item in pairs(items) do
      if call('HGET', k.q, num(item)) == m.t then call('HDEL', k.q, num(item)) end
    end
    return
  end
  local t, h = tonumber(m.t), call('HGETALL', k.a)
  for item in pairs(items) do
    if tonumber(call('HGET', k.m, num(item)) or t + 1) <= t then call('HDEL', k.m, num(item)) end
  end
  for i = 1, #h, 2 do
    local floors, raised = ungroup(h[i + 1], {}), false
    for item in pairs(items) do
      if floors[item] and floors[item] < t then floors[item], raised = t, true end
    end
    if raised then call('HSET', k.a, h[i], group(floors)) end
  end
end

-- mark marks items again. They are no part of the present assignment, whose data may
-- be older than they are.
local function mark(k, s, m, items)
  local own = marks(call('HGET', k.r, node))
  local one
  for _, other in ipairs(own) do
    if other.f == m.f and other.e == epoch then one = other end
  end
  if not one then
    one = {f = m.f, e = epoch, g = '0', k = m.k, t = m.t, q = '', it = ''}
    own[#own + 1] = one
    if one.g ~= s.gen then s.x = s.x + 1 end
  end
  local set = unranges(one.it, {}, true)
  for item in pairs(items) do set[item] = true end
  one.it = ranges(set)
  put_marks(k.r, node, own)
  s.tok = math.max(s.tok, tonumber(m.f))
end

local function reassert(k, name)
  local asked, newest, known, by = take(), tonumber(take()), {}, {}
  for i = 1, tonumber(take()) do
    local m = {f = take(), k = take(), t = take(), set = unranges(take(), {}, true)}
    known[i], by[m.f] = m, m
  end
  local h = call('HMGET', k.j, 'gen', 'tok', 'x', 'fo', 'mis', 'how', 'an', 'gr', 'ds')
  if not h[1] then return {NOJOB} end
  local s = {
    gen = h[1], tok = tonumber(h[2]), x = tonumber(h[3] or '0'), fo = h[4], mis = h[5], how = h[6],
    an = tonumber(h[7] or '0'), gr = h[8], ds = h[9],
  }
  local tok, x = s.tok, s.x
  -- A copy that comes later would take what has begun since for what nobody has heard of.
  if is_late(k, node, epoch, asked) then return {DUP} end
  local said = {marked = {}, refused = {}, ended = {}, back = {}, lost = {}}
  local keep, own, unknown = {}, marks(call('HGET', k.r, node)), {}
  for _, m in ipairs(own) do
    if m.e == epoch then
      local runs, rest = by[m.f], unranges(m.it, {}, true)
      local both = runs and split(runs.set, rest) or {}
      split(rest, both)
      m.it = ranges(both)
      if next(rest) then unknown[#unknown + 1] = {m = m, items = rest} end
    end
    if m.it ~= '' then keep[#keep + 1] = m elseif m.g ~= s.gen then s.x = s.x - 1 end
  end
  if #unknown > 0 then
    put_marks(k.r, node, keep)
    freed[#freed + 1] = name
  end
  for _, u in ipairs(unknown) do free(k, name, s, u.m, u.items, tonumber(u.m.f) <= newest, said) end
  for _, m in ipairs(known) do
    if next(m.set) then
      local refused = split(m.set, seize(k, s, tonumber(m.f), m.set))
      note(said.refused, refused, m.t)
      if next(m.set) then
        decide(k, m, m.set)
        mark(k, s, m, m.set)
        if s.ds and not is_manual(m) then open_run(k, name, m.t) end
      end
      note(said.marked, m.set, m.t)
    end
  end
  if s.tok ~= tok or s.x ~= x then call('HSET', k.j, 'tok', num(s.tok), 'x', num(s.x)) end
  local reply = {OK}
  for i, list in ipairs({said.marked, said.refused, said.ended, said.back, said.lost}) do
    reply[1 + i] = table.concat(list, ';')
  end
  return reply
end

local reply = {OK}
for i = 1, count do reply[#reply + 1] = reassert(job(i), take()) end
if #freed > 0 then bump('released', node, table.concat(freed, ','), '') end
if #failed > 0 then bump('drain', node, table.concat(failed, ','), '') end
if #waited > 0 then bump('ended', node, table.concat(waited, ','), '') end
tell_manual(node)
return reply

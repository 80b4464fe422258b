-- Compares what is stored twice and mends what differs. ARGV: node, epoch, term,
-- sessions (1: those too), number of jobs, names...
-- Reply: OK, {job, kind, count}... | refusal
local node, epoch, term = take(), take(), take()
local sessions, count = take(), tonumber(take())
local refused = led(node, epoch, term)
if refused then return {refused} end

local reply, dirty, names, gens = {OK}, {}, {}, {}
local function mended(name, kind, n)
  if n > 0 then reply[#reply + 1] = {name, kind, n} end
end

local live, here, ended, gone = {}, {}, {}, {}
local h = call('HGETALL', SESS)
for i = 1, #h, 2 do
  here[h[i]] = true
  live[h[i] .. ':' .. (string.match(h[i + 1], '^%d+') or '')] = true
end
for _, d in ipairs(call('HKEYS', DEAD)) do
  ended[d] = true
  gone[string.match(d, '^(.*):%d+$') or d] = true
end

-- A session without lease would never be evicted; nothing else outlives one.
if sessions == '1' then
  local n, leases = 0, {}
  for _, owner in ipairs(call('ZRANGE', LEASE, 0, -1)) do
    leases[owner] = true
    if not here[owner] then n = n + call('ZREM', LEASE, owner) end
  end
  for owner in pairs(here) do
    if not leases[owner] then n = n + call('ZADD', LEASE, num(NOW), owner) end
  end
  for _, key in ipairs({INFO, STOP}) do
    for _, owner in ipairs(call('HKEYS', key)) do
      if not here[owner] then n = n + call('HDEL', key, owner) end
    end
  end
  mended('', 'session', n)
end

local function mend_marks(k, name, gen, x)
  local foreign, orphaned, broken, running = 0, 0, 0, {}
  local r = call('HGETALL', k.r)
  for i = 1, #r, 2 do
    local keep, own = {}, marks(r[i + 1])
    for _, m in ipairs(own) do
      if m.f then
        keep[#keep + 1] = m
        unranges(m.it, running, true)
        if m.g ~= gen then foreign = foreign + 1 end
        local by = r[i] .. ':' .. m.e
        if not live[by] and not ended[by] then
          call('HSET', DEAD, by, '0|d')
          ended[by] = true
          gone[r[i]] = true
          orphaned = orphaned + 1
        end
      else
        broken = broken + 1
      end
    end
    if #keep < #own then put_marks(k.r, r[i], keep) end
  end
  mended(name, 'mark-broken', broken)
  mended(name, 'mark-orphaned', orphaned)
  if tonumber(x or '') ~= foreign then
    call('HSET', k.j, 'x', num(foreign))
    mended(name, 'mark-count', 1)
  end
  local both = 0
  for _, item in ipairs(call('HKEYS', k.f)) do
    if running[tonumber(item)] then both = both + call('HDEL', k.f, item) end
  end
  mended(name, 'failover-running', both)
end

-- mend_owners gives every item one owner; it is another generation then.
local function mend_owners(k, name, gen, tok, n)
  local floor, owner, wrong = {}, {}, 0
  local a, by = call('HGETALL', k.a), {}
  for i = 1, #a, 2 do by[a[i]] = a[i + 1] end
  for _, who in ipairs(sorted(by)) do
    local decided = tonumber(string.match(call('HGET', k.hw, who) or '', '^%d+') or '0')
    for item, f in pairs(ungroup(by[who], {})) do
      if item >= n or owner[item] then
        wrong = wrong + 1
      else
        owner[item] = who
      end
      floor[item] = math.max(floor[item] or 0, f, decided)
    end
  end
  for item = 0, n - 1 do
    if not owner[item] then
      wrong = wrong + 1
      owner[item] = ''
      floor[item] = NOW
    end
  end
  if wrong == 0 then return end
  local groups, list, x = {}, {}, 0
  for item = 0, n - 1 do
    groups[owner[item]] = groups[owner[item]] or {}
    groups[owner[item]][item] = floor[item]
  end
  for _, who in ipairs(sorted(groups)) do
    list[#list + 1] = who
    list[#list + 1] = group(groups[who])
  end
  call('DEL', k.a)
  undecide(k)
  chunked('HSET', k.a, list)
  for _, v in ipairs(call('HVALS', k.r)) do x = x + #marks(v) end
  local new = num(after(tok))
  call('HSET', k.j, 'gen', new, 'tok', new, 'x', num(x))
  names[#names + 1] = name
  gens[#gens + 1] = new
  dirty[name] = true
  mended(name, 'item-owner', wrong)
end

-- mend_triggers ends what triggers wait for in vain, and forgets answers after an
-- hour.
local function mend_triggers(k, name)
  local h, left, forgotten, broken = call('HGETALL', k.t), {}, {}, 0
  for i = 1, #h, 2 do
    local t = trigger(k, h[i])
    if not t or tonumber(t.ended) > 0 and tonumber(t.ended) < NOW - 3600000 then
      forgotten[#forgotten + 1] = h[i]
      if not t then broken = broken + 1 end
    elseif t.left ~= '' then
      left[h[i]] = unranges(t.left, {}, true)
    end
  end
  chunked('HDEL', k.t, forgotten)
  mended(name, 'trigger-broken', broken)
  local idle, found = 0, {}
  local function note(id, item)
    if not left[id] or not left[id][item] then return false end
    found[id] = found[id] or {}
    found[id][item] = true
    return true
  end
  local q = call('HGETALL', k.q)
  for i = 1, #q, 2 do
    if not note(q[i + 1], tonumber(q[i])) then idle = idle + call('HDEL', k.q, q[i]) end
  end
  mended(name, 'trigger-queue', idle)
  for _, v in ipairs(call('HVALS', k.r)) do
    for _, m in ipairs(marks(v)) do
      if m.f and is_manual(m) then
        for item in pairs(unranges(m.it, {}, true)) do note(m.t, item) end
      end
    end
  end
  local f = call('HGETALL', k.f)
  for i = 1, #f, 2 do note(string.match(f[i + 1], '^[^|]*'), tonumber(f[i])) end
  local lost = 0
  for _, id in ipairs(sorted(left)) do
    for item in pairs(found[id] or {}) do left[id][item] = nil end
    if next(left[id]) then
      lost = lost + 1
      if settle(k, id, left[id], 'L') then over[#over + 1] = name end
    end
  end
  mended(name, 'trigger-lost', lost)
end

local function mend_states(k, name, dn, nd)
  local off, servers = {}, 0
  for _, scope in ipairs(call('HKEYS', k.st)) do
    local item = tonumber(string.match(scope, '^item:(%d+)$') or '')
    if item then off[item] = true else servers = servers + 1 end
  end
  if ranges(off) == (dn or '') and servers == tonumber(nd or '0') then return end
  call('HSET', k.j, 'dn', ranges(off), 'nd', num(servers))
  mended(name, 'desired-state', 1)
end

local function mend(k, name)
  local s = call('HMGET', k.j, 'cver', 'gen', 'tok', 'x', 'n', 'an', 'dn', 'nd', 'gr', 'how')
  if not s[1] then
    mended(name, 'index', math.max(call('HDEL', JOBS, name), call('ZREM', DIRTY, name)))
    return
  end
  if call('HGET', JOBS, name) ~= s[1] then
    call('HSET', JOBS, name, s[1])
    dirty[name] = true
    mended(name, 'index', 1)
  end
  if s[9] and sweep(k, MAXRUNS) == 0 then call('HDEL', k.j, 'gr') end
  mend_marks(k, name, s[2], s[4])
  mend_triggers(k, name)
  mend_states(k, name, s[7], s[8])
  if s[2] ~= '0' then mend_owners(k, name, s[2], s[3], tonumber(s[6] or '0')) end
  if dirty[name] or call('ZSCORE', DIRTY, name) then return end
  if s[2] == '0' or s[6] ~= s[5] and s[10] ~= 'B' then
    dirty[name] = true
    mended(name, 'unassigned', 1)
  end
  local missing = 0
  for _, who in ipairs(call('HKEYS', k.a)) do
    if who ~= '' and not here[who] and not gone[who] then missing = missing + 1 end
  end
  if missing > 0 then dirty[name] = true end
  mended(name, 'owner-gone', missing)
end

for i = 1, count do mend(job(i), take()) end
if #names > 0 then bump('assigned', '', table.concat(names, ','), table.concat(gens, ',')) end
tell_manual('')
local list = sorted(dirty)
if #list > 0 then mark_dirty(list, bump('repair', '', table.concat(list, ','), '')) end
return reply

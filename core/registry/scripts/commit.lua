-- Replaces the assignments of jobs, each by compare-and-set on generation and
-- version. ARGV: node, epoch, term, ttl, hand-over ms, number of jobs, then for each:
-- name, expected generation, expected version, n, how, dirty version seen (0: none),
-- number of owners, owner, ranges, ...
-- Reply: OK, for each {code, generation, dropped, from} | refusal. code: OK, NONE
-- (nothing changed), STALE, GONE (an owner has no session or drains), PENDING (not
-- all may move before from; the generation tells whether some did), NOJOB
local node, epoch, term = take(), take(), take()
local ttl, handover, count = tonumber(take()), tonumber(take()), tonumber(take())
local refused = led(node, epoch, term)
if refused then return {refused} end

local epochs, stops, ended = {}, {}, nil
local function session(n)
  if epochs[n] == nil then
    epochs[n] = tonumber(string.match(call('HGET', SESS, n) or '', '^%d+') or '') or false
  end
  return epochs[n]
end

local function stop(n)
  if stops[n] == nil then stops[n] = tonumber(call('HGET', STOP, n) or '') or false end
  return stops[n]
end

-- fate says what became of the session of n, or the last one, that began up to
-- epoch: live, last instant of its duty (nil: not known or not over), died, silent.
-- Who is silent has not renewed for longer than a node that fires may, and is live
-- or dead: that shows later.
local function fate(n, upto)
  local e = session(n)
  if e and e <= upto then
    local last = stop(n) or nil
    local renewed = (tonumber(call('ZSCORE', LEASE, n) or '') or 0) - ttl
    return true, last, false, not last and renewed + handover < NOW
  end
  if not ended then
    ended = {}
    local h = call('HGETALL', DEAD)
    for i = 1, #h, 2 do
      local name, began = string.match(h[i], '^(.*):(%d+)$')
      local at, how = string.match(h[i + 1], '^(%d+)|(%a)$')
      if name and at then
        ended[name] = ended[name] or {}
        table.insert(ended[name], {e = tonumber(began), at = tonumber(at), died = how == 'd'})
      end
    end
  end
  local last
  for _, d in ipairs(ended[n] or {}) do
    if d.e <= upto and (not last or d.e > last.e) then last = d end
  end
  if last then return false, last.at, last.died end
  return false, nil, true
end

-- Who drains reads here whether a commit knew of it.
local departed = call('HKEYS', STOP)
table.sort(departed)
departed = join(departed, ',')

local function floors_of(k, fresh)
  local floor, owner = {}, {}
  if fresh then return floor, owner end
  local hw, last = call('HGETALL', k.hw), {}
  for i = 1, #hw, 2 do last[hw[i]] = tonumber(string.match(hw[i + 1], '^%d+')) end
  local a = call('HGETALL', k.a)
  for i = 1, #a, 2 do
    local decided = last[a[i]] or 0
    for item, f in pairs(ungroup(a[i + 1], {})) do
      floor[item] = math.max(f, decided)
      owner[item] = a[i]
    end
  end
  return floor, owner
end

-- forsake ends what manual triggers waited for with items that no longer exist.
local function forsake(k, name, n)
  local by = {}
  local function note(key, form)
    local h = call('HGETALL', key)
    for i = 1, #h, 2 do
      local id, item = string.match(h[i + 1], form), tonumber(h[i])
      if id and item >= n then
        by[id] = by[id] or {}
        by[id][item] = true
      end
    end
  end
  note(k.q, '^.*$')
  note(k.f, '^([^|]*[^|%d][^|]*)|')
  for _, id in ipairs(sorted(by)) do
    if settle(k, id, by[id], 'L') then over[#over + 1] = name end
  end
end

-- gather_orphans ends in all runs the part of items that no longer exist and that
-- nobody has taken over.
local function gather_orphans(k, n)
  local gone, h = {}, call('HGETALL', k.f)
  for i = 1, #h, 2 do
    local t, item = string.match(h[i + 1], '^[^|]*'), tonumber(h[i])
    if item >= n then
      gone[t] = gone[t] or {}
      gone[t][item] = true
    end
  end
  for _, run in ipairs(sorted(gone)) do gather_gone(k, run, gone[run]) end
end

-- spoil_orphans does so for the runs on whose end other jobs wait.
local function spoil_orphans(k, n)
  local h = call('HGETALL', k.f)
  for i = 1, #h, 2 do
    if tonumber(h[i]) >= n then spoil(k, string.match(h[i + 1], '^[^|]*')) end
  end
end

-- drop removes what belongs to items that no longer exist.
local function drop(k, n, off)
  local dropped, gone = {}, {}
  for _, key in ipairs({k.m, k.f, k.q, k.cp}) do
    local list = {}
    for _, item in ipairs(call('HKEYS', key)) do
      if tonumber(item) >= n then
        list[#list + 1] = item
        dropped[tonumber(item)] = true
      end
    end
    table.sort(list)
    chunked('HDEL', key, list)
  end
  local left = unranges(off, {}, true)
  for item in pairs(left) do
    if item >= n then gone[item] = true end
  end
  for _, item in ipairs(sorted(gone)) do
    left[item] = nil
    call('HDEL', k.st, 'item:' .. num(item))
  end
  if next(gone) then call('HSET', k.j, 'dn', ranges(left)) end
  return ranges(dropped)
end

-- with_owners makes what an instance has decided and missed of a job that broadcasts
-- its own, as its item may be another one now. Whoever is new has missed nothing,
-- unless nobody was there before.
local function with_owners(k, n, owner, target, floor)
  local upto, missed, kept, set = {}, {}, {}, {}
  for item, f in pairs(floor) do upto[owner[item]] = math.max(upto[owner[item]] or 0, f) end
  local h = call('HGETALL', k.m)
  for i = 1, #h, 2 do
    local who, t = owner[tonumber(h[i])], tonumber(h[i + 1])
    if who and who ~= '' then missed[who] = math.max(missed[who] or 0, t) end
  end
  for i = 0, n - 1 do
    local who = target[i]
    if who == '' then
      kept[i] = floor[i] or NOW
    else
      kept[i] = upto[who] or upto[''] or NOW
      if missed[who] then
        set[#set + 1] = num(i)
        set[#set + 1] = num(missed[who])
      end
    end
  end
  call('DEL', k.m)
  chunked('HSET', k.m, set)
  return kept
end

-- end_waits ends what items of a job that broadcasts wait for, if they are of another
-- instance now that does not wait for it, too: it may have had its run.
local function end_waits(k, name, n, owner, target)
  local h, waited, gone = call('HGETALL', k.q), {}, {}
  for i = 1, #h, 2 do
    local who = owner[tonumber(h[i])]
    if who then
      waited[who] = waited[who] or {}
      waited[who][h[i + 1]] = true
    end
  end
  for i = 1, #h, 2 do
    local item, id = tonumber(h[i]), h[i + 1]
    local was, who = owner[item] or '', target[item]
    if item < n and was ~= '' and was ~= who and not (who ~= '' and waited[who] and waited[who][id]) then
      gone[id] = gone[id] or {}
      gone[id][item] = true
      call('HDEL', k.q, h[i])
    end
  end
  for _, id in ipairs(sorted(gone)) do
    if settle(k, id, gone[id], 'L') then over[#over + 1] = name end
  end
end

local function commit(k, name, gen, ver, n, how, seen, wanted)
  local s = call('HMGET', k.j, 'gen', 'cver', 'tok', 'mon', 'fl', 'from', 'an', 'dn', 'ep', 'lo', 'nf', 'pg', 'lg', 'how', 'gr', 'ds')
  if not s[1] then return {NOJOB, '0', '', '0'} end
  if s[1] ~= gen or s[2] ~= ver then return {STALE, s[1], '', '0'} end
  local target = {}
  for _, w in ipairs(wanted) do
    if not session(w.node) or stop(w.node) then return {GONE, s[1], '', '0'} end
    unranges(w.items, target, w.node)
  end
  local first, unmonitored = gen == '0', s[4] ~= '1'
  local floor, owner = floors_of(k, first)
  -- An unmonitored job is fired by a session, a monitored one by whoever has the
  -- name: its marks tell what a former session did.
  local upto = unmonitored and tonumber(s[9] or '0') or math.huge
  local fates, moved, stays = {}, {}, {}
  local changes = first or s[7] ~= num(n)
  local same, leaves, waits, later = not first and s[7] == num(n), false, false, nil
  for i = 0, n - 1 do
    -- Items that nobody may run keep their floors under the empty name.
    target[i] = target[i] or ''
    local was = owner[i]
    if was and was ~= '' and not fates[was] then
      local live, at, died, silent = fate(was, upto)
      fates[was] = {live = live, at = at, died = died, silent = silent}
    end
    local f = fates[was]
    if unmonitored and f and f.silent and was ~= target[i] then
      -- If it is dead, its duty ended with its last renewal, and not when another
      -- takes over; if it lives, it may fire until it can be reaped.
      target[i], later = was, num(NOW + handover)
    end
    if was ~= target[i] or unmonitored and f and not f.live then
      same = false
      moved[i] = was or nil
      if f and f.live then leaves = leaves or target[i] ~= '' end
      if f and f.live and not f.at then
        waits = true
        stays[#stays + 1] = i
      else
        changes = true
      end
    end
  end
  local given = math.floor(tonumber(gen) / 1000)
  if unmonitored and not first and not same then
    -- A hand-over is not over, or an owner may not have heard yet of what it would
    -- have to pass on.
    local rest = math.max(tonumber(s[6]), leaves and given + handover or 0)
    if rest > NOW and not changes then return {PENDING, gen, '', num(rest)} end
    if rest > NOW and #stays > 0 then
      -- What no living owner has to give away is not held up by the others.
      for _, i in ipairs(stays) do target[i], moved[i] = owner[i], nil end
      waits, later = false, num(NOW + handover)
    end
  end
  if not later and seen ~= '0' and tonumber(call('ZSCORE', DIRTY, name) or '0') == tonumber(seen) then
    call('ZREM', DIRTY, name)
  end
  if how ~= (s[14] or '') then call('HSET', k.j, 'how', how) end
  local broadcasts, dropped, waiting = how == 'B' and not first and not same, '', call('HLEN', k.q) > 0
  if broadcasts then
    floor = with_owners(k, n, owner, target, floor)
    if waiting then end_waits(k, name, n, owner, target) end
  end
  if tonumber(s[7] or '0') > n or (s[8] or '') ~= '' or waiting then
    forsake(k, name, n)
    if s[15] then gather_orphans(k, n) end
    if s[16] then spoil_orphans(k, n) end
    dropped = drop(k, n, s[8] or '')
  end
  if same then return {later and PENDING or NONE, gen, dropped, later or s[6]} end

  local from = waits and NOW + handover or math.max(NOW, tonumber(s[6]) or 0)
  local before, former = unorphan(s[10]), {}
  for i = 0, n - 1 do
    local was = moved[i]
    local f = fates[was]
    if not was or was == '' then
      -- An owner that got an orphan within its lease may not have heard of it yet.
      local fresh = owner[i] == '' or NOW < given + ttl + handover
      former[i] = fresh and before[i] or nil
    elseif f.died then
      former[i] = was
    end
    if unmonitored and f then
      local over = f.at or f.live and from - 1 or 0
      floor[i] = math.max(floor[i], over)
    end
  end
  -- An item that comes back may still be fired by who had it and does not know yet
  -- that it was gone.
  local newest, reborn = tonumber(s[5]), tonumber(s[11] or '0')
  -- Nor was it due before, if it comes with an instance.
  if s[14] == 'B' and not first then newest = math.max(newest, NOW) end
  if reborn > NOW then newest = math.max(newest, reborn - 1, from - 1) end
  for item in pairs(owner) do
    if unmonitored and item >= n then reborn = NOW + handover end
  end
  if broadcasts then former = {} end
  local by, list, x = {}, {}, 0
  for i = 0, n - 1 do
    by[target[i]] = by[target[i]] or {}
    by[target[i]][i] = floor[i] or newest
  end
  for _, owns in ipairs(sorted(by)) do
    list[#list + 1] = owns
    list[#list + 1] = group(by[owns])
  end
  call('DEL', k.a)
  undecide(k)
  for _, v in ipairs(call('HVALS', k.r)) do x = x + #marks(v) end
  chunked('HSET', k.a, list)
  local new = num(after(s[3]))
  from = num(first and tonumber(s[5]) + 1 or from)
  -- Generations in which a hand-over has not ended do not matter to who missed
  -- them: it still ends at the same instant.
  local heard, gave = s[12] or '0', s[13] or '0'
  if tonumber(s[6]) <= NOW and gave ~= '0' then heard = gave end
  if waits then gave = new end
  call('HSET', k.j, 'pg', heard, 'lg', gave, 'gen', new, 'tok', new, 'x', num(x), 'an', num(n), 'from', from,
    'ep', call('HGET', META, 'hlc') or '0', 'lo', orphans(former), 'nf', num(reborn), 'sd', departed)
  return {later and PENDING or OK, new, dropped, later or from}
end

local reply, names, gens = {OK}, {}, {}
for i = 1, count do
  local name, gen, ver, n = take(), take(), take(), tonumber(take())
  local how, seen, owners = take(), take(), tonumber(take())
  local wanted = {}
  for w = 1, owners do
    local owns, items = take(), take()
    wanted[w] = {node = owns, items = items}
  end
  local r = commit(job(i), name, gen, ver, n, how, seen, wanted)
  if r[1] == OK or r[1] == PENDING and r[2] ~= gen then
    names[#names + 1] = name
    gens[#gens + 1] = r[2]
  end
  reply[#reply + 1] = r
end
if #names > 0 then bump('assigned', '', table.concat(names, ','), table.concat(gens, ',')) end
tell_manual('')
return reply

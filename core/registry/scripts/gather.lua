-- The part shared by the scripts that gather runs; it stands behind lib.lua in
-- those. A run is gathered if the job has listeners that are called once for all
-- of it: one instance calls them when every item of it has begun, and one when
-- every item has ended.
--
-- A field of k.g is a run, by its instant in ms or its trigger: the time it was
-- last written|n|waiting|running|idle|succeeded|failed|cancelled|before|after.
-- Items below n belong to it, or of a trigger those in ranges behind a "=". The five lists are ranges, an item is in at most
-- one of them: idle ones do not run in it, being disabled or still in an earlier
-- run, and one that is in none has not been begun. waiting names the moments, b
-- and a, for which somebody waits. before and after are how far the calls are:
-- W (nobody may yet), C (being made), D (done), X (given up after a time-out),
-- L (the caller died) and M (that has been told); of C, X and M ",fence,epoch,node"
-- says by whom.
local CLASSES = {'running', 'idle', 'succeeded', 'failed', 'cancelled'}
local CLASS_OF = {S = 'succeeded', F = 'failed', C = 'cancelled'}
local GO, WAIT, CALL, EXPIRED, FORSAKEN = 1, 2, 3, 4, 5
-- MAXRUNS bounds the runs of a job that are kept; KEEP is for how many ms those
-- are whose calls have been made, and UNFINISHED the others.
local MAXRUNS, KEEP, UNFINISHED = 64, 3600000, 691200000

local function parse_run(text)
  local ms, n, waiting, r, i, s, f, c, b, a = string.match(text,
    '^(%d+)|([^|]*)|(%l*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|(%u[^|]*)|(%u[^|]*)$')
  if not ms then return nil end
  local class = {}
  for at, list in ipairs({r, i, s, f, c}) do unranges(list, class, CLASSES[at]) end
  local want = string.match(n, '^=(.*)$')
  local count = want and 0 or tonumber(string.match(n, '^%d+$') or '')
  if not count or count > LASTITEM + 1 then return nil end
  return {ms = tonumber(ms), n = count, want = want, waiting = waiting, class = class, b = b, a = a}
end

local function read_run(k, run)
  local text = call('HGET', k.g, run)
  return text and parse_run(text)
end

-- lists are the ranges of the items of a run by class, and of all; without sorting,
-- as there may be ten thousand.
local function lists(g)
  local top, by, all = g.n - 1, {}, {}
  for item in pairs(g.class) do if item > top then top = item end end
  for _, name in ipairs(CLASSES) do by[name] = {} end
  local function extend(spans, item)
    local last = spans[#spans]
    if last and last[2] == item - 1 then last[2] = item else spans[#spans + 1] = {item, item} end
  end
  for item = 0, top do
    local name = g.class[item]
    if name then
      extend(by[name], item)
      extend(all, item)
    end
  end
  local function text(spans)
    local out = {}
    for i, span in ipairs(spans) do
      out[i] = span[1] == span[2] and num(span[1]) or num(span[1]) .. '-' .. num(span[2])
    end
    return join(out, ',')
  end
  for name, spans in pairs(by) do by[name] = text(spans) end
  by.all = text(all)
  return by
end

local function write_run(k, run, g)
  local by = lists(g)
  local parts = {num(NOW), g.want and '=' .. g.want or num(g.n), g.waiting}
  for i, name in ipairs(CLASSES) do parts[3 + i] = by[name] end
  parts[9], parts[10] = g.b, g.a
  call('HSET', k.g, run, table.concat(parts, '|'))
end

local function is_over(state) return state ~= 'W' and string.sub(state, 1, 1) ~= 'C' end

-- sweep removes runs that are older than they are kept, and the oldest if there
-- are too many, first of those that are over. It returns how many are left.
local function sweep(k, most)
  local h, left, gone = call('HGETALL', k.g), {}, {}
  for i = 1, #h, 2 do
    local g = parse_run(h[i + 1])
    local over = g and is_over(g.b) and is_over(g.a)
    if not g or NOW - g.ms > (over and KEEP or UNFINISHED) then
      gone[#gone + 1] = h[i]
    else
      left[#left + 1] = {run = h[i], ms = g.ms, over = over}
    end
  end
  table.sort(left, function(x, y)
    if x.over ~= y.over then return x.over end
    if x.ms ~= y.ms then return x.ms < y.ms end
    return x.run < y.run
  end)
  for i = 1, #left - most do gone[#gone + 1] = left[i].run end
  table.sort(gone)
  chunked('HDEL', k.g, gone)
  return math.min(#left, most)
end

-- unbegun are the items of a run that no begin has told of.
local function unbegun(g)
  local list = {}
  for item = 0, g.n - 1 do
    if not g.class[item] then list[#list + 1] = item end
  end
  for _, item in ipairs(g.want and sorted(unranges(g.want, {}, true)) or {}) do
    if not g.class[item] then list[#list + 1] = item end
  end
  return list
end

-- may_begin is whether one of these items may still begin in the run: not if it is
-- gone, if its owner has decided a later instant or this one in another way, or if
-- the job is disabled, as enabling it decides all that was due. Those of a trigger
-- may as long as they are queued.
local function may_begin(k, run, list)
  local s, t = call('HMGET', k.j, 'st', 'an'), tonumber(run)
  if not t then
    for _, item in ipairs(list) do
      if call('HGET', k.q, num(item)) == run then return true end
    end
    return false
  end
  if s[1] == 'D' then return false end
  local hw, last, floor = call('HGETALL', k.hw), {}, {}
  for i = 1, #hw, 2 do last[hw[i]] = tonumber(string.match(hw[i + 1], '^%d+')) end
  local a = call('HGETALL', k.a)
  for i = 1, #a, 2 do
    for item, f in pairs(ungroup(a[i + 1], {})) do floor[item] = math.max(f, last[a[i]] or 0) end
  end
  for _, item in ipairs(list) do
    if item < tonumber(s[2] or '0') and (floor[item] or t) < t then return true end
  end
  return false
end

-- has_begun is whether all items of a run have begun that will. thoroughly looks
-- at those that are missing: they may never come.
local function has_begun(k, run, g, thoroughly)
  local list = unbegun(g)
  if #list == 0 then return true end
  if not thoroughly or may_begin(k, run, list) then return false end
  for _, item in ipairs(list) do g.class[item] = 'idle' end
  return true
end

local function any(g, classes)
  for _, name in pairs(g.class) do
    if classes[name] then return true end
  end
  return false
end

-- is_due is whether the listeners may be called: before when all items have begun,
-- after when they have ended.
local function is_due(k, run, g, moment, thoroughly)
  if moment == 'a' and (not is_over(g.b) or any(g, {running = true})) then return false end
  return has_begun(k, run, g, thoroughly)
end

-- turn says what who asks does next: GO on, WAIT, CALL the listeners, or go on and
-- tell that the call was not made: EXPIRED or FORSAKEN. It is the same when asked
-- again. isWaiting keeps in mind that somebody waits; expire gives the call up.
local function turn(k, run, g, moment, who, thoroughly, is_waiting, expire)
  local state, by = string.match(g[moment], '^(%u)(.*)$')
  local me = ',' .. who
  if state == 'W' and is_due(k, run, g, moment, thoroughly) then
    state, by = 'C', me
  elseif expire and (state == 'W' or state == 'C' and by ~= me) then
    state, by = 'X', me
  elseif state == 'L' then
    state, by = 'M', me
  end
  g[moment] = state .. by
  local mine = by == me
  if state == 'C' and mine then return CALL end
  if state == 'X' and mine then return EXPIRED end
  if state == 'M' and mine then return FORSAKEN end
  if state ~= 'W' and state ~= 'C' then return GO end
  if is_waiting and not string.find(g.waiting, moment, 1, true) then g.waiting = g.waiting .. moment end
  return WAIT
end

-- gathered is the reply of a turn.
local function gathered(run, g, what)
  if what ~= CALL then return {run, what, '', '', '', ''} end
  local by = lists(g)
  return {run, what, by.all, by.succeeded, by.failed, by.cancelled}
end

-- tell_all tells those that wait, by one entry of the feed for each moment and run.
local news = {}
local function tell_later(kind, run, name)
  local key = kind .. ' ' .. run
  news[key] = news[key] or {kind = kind, run = run, names = {}}
  table.insert(news[key].names, name)
end
local function tell_all()
  for _, key in ipairs(sorted(news)) do
    local one = news[key]
    bump(one.kind, one.run, table.concat(one.names, ','), '')
  end
end

-- gather_begun notes the answer r of a normal begin of a session, or of one for a
-- trigger, whose id and items follow.
local function gather_begun(k, name, node, epoch, r, id, want)
  local run, fence = id or r[6], r[2]
  local s = call('HMGET', k.j, 'an', 'dn')
  local g = read_run(k, run)
  local fresh = not g
  if fresh then
    local kept = call('HLEN', k.g)
    -- Now and then, as all are looked at.
    if kept >= MAXRUNS then kept = sweep(k, MAXRUNS - MAXRUNS / 4) end
    if kept == 0 then call('HSET', k.j, 'gr', '1') end
    g = {n = id and 0 or tonumber(s[1] or '0'), want = want, waiting = '', class = {}, b = 'W', a = 'W'}
  end
  local off = (s[2] or '') ~= '' and unranges(s[2], {}, true) or {}
  if not id and next(off) then
    for item, f in pairs(ungroup(call('HGET', k.a, node) or '', {})) do
      if off[item] and f < tonumber(run) and not g.class[item] then g.class[item] = 'idle' end
    end
  end
  for item in pairs(unranges(id and '' or r[4], {}, true)) do g.class[item] = g.class[item] or 'idle' end
  for item in pairs(unranges(r[3], {}, true)) do
    if not g.class[item] or g.class[item] == 'idle' then g.class[item] = 'running' end
  end
  local what = GO
  if r[1] == OK then
    what = turn(k, run, g, 'b', fence .. ',' .. epoch .. ',' .. node, fresh, true, false)
  elseif has_begun(k, run, g, fresh) then
    if not any(g, {running = true, succeeded = true, failed = true, cancelled = true}) then
      -- Nothing runs in it.
      call('HDEL', k.g, run)
      return gathered(run, g, GO)
    end
    -- Who begins nothing calls nobody.
    if g.b == 'W' then tell_later('gathered', run, name) end
  end
  write_run(k, run, g)
  return gathered(run, g, what)
end

-- gather_ended notes items that have ended under a fence, of which who begins;
-- rest is whether others of its mark run on. What is given back has not begun.
local function gather_ended(k, run, who, items, outcome, rest)
  local g = read_run(k, run)
  if not g then return gathered(run, nil, GO) end
  for item in pairs(unranges(items, {}, true)) do
    if g.class[item] == 'running' then g.class[item] = CLASS_OF[outcome] end
  end
  local what = turn(k, run, g, 'a', who, true, not rest, false)
  write_run(k, run, g)
  return gathered(run, g, what)
end

-- gather_gone notes that items will not end in a run.
local function gather_gone(k, run, items)
  local g, touched = read_run(k, run), false
  for item in pairs(g and items or {}) do
    if g.class[item] == 'running' then
      g.class[item] = 'cancelled'
      touched = true
    end
  end
  if touched then write_run(k, run, g) end
end

-- gather_dead takes a dead session out of the runs of a job: its items count as
-- cancelled, but for those below n, which others take over, and calls that it was to
-- make are not made. It is whether there was anything.
local function gather_dead(k, dead, old, list, n)
  local h, changed = call('HGETALL', k.g), false
  local suffix = ',' .. old .. ',' .. dead
  for i = 1, #h, 2 do
    local run, g, touched = h[i], parse_run(h[i + 1]), false
    for _, m in ipairs(g and list or {}) do
      if m.e == old and m.t == run and (m.k == 'N' or m.k == 'O' or m.k == 'F') then
        for item in pairs(unranges(m.it, {}, true)) do
          if item >= n and g.class[item] == 'running' then
            g.class[item] = 'cancelled'
            touched = true
          end
        end
      end
    end
    for _, moment in ipairs(g and {'b', 'a'} or {}) do
      local state = g[moment]
      if string.sub(state, 1, 1) == 'C' and string.sub(state, -#suffix) == suffix then
        g[moment] = 'L'
        touched = true
      end
    end
    if touched then
      write_run(k, run, g)
      changed = true
    end
  end
  return changed
end

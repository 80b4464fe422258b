-- Ends runs that are over on which other jobs wait. ARGV: node, epoch, term, number of
-- jobs, then for each: name, number of runs of which all that depend on them have
-- heard, those, number of jobs that do not depend on it any more, those.
-- Reply: OK, now, for each {down, idle (1: a run waits for items that nobody begins
-- now), number of ended runs, run, outcome..., number of waiting ones, run, edges that
-- are missing...} | refusal
local node, epoch, term, count = take(), take(), take(), tonumber(take())
local refused = led(node, epoch, term)
if refused then return {refused} end
-- KEPT is for how many ms runs are remembered that are done with, and FEW how many are
-- at least, if there are more; but for BRIEF ms all are, so that word that is repeated
-- starts nothing again.
local KEPT, FEW, BRIEF = 3600000, 500, 120000

-- progress tells which runs of a job go on: those that have marks, wait for failover or
-- are caught up later, and those after the last instant that all have decided. Items
-- that are disabled or that nobody owns keep no run open; passed are those by run that
-- would be caught up in it later.
local function progress(k, enabled, dn)
  local going, decided, passed, off = {}, math.huge, {}, unranges(dn or '', {}, true)
  for _, v in ipairs(call('HVALS', k.r)) do
    for _, m in ipairs(marks(v)) do going[m.t] = true end
  end
  local f, m = call('HGETALL', k.f), call('HGETALL', k.m)
  for i = 1, #f, 2 do going[string.match(f[i + 1], '^[^|]*')] = true end
  for i = 1, #m, 2 do
    local item, run = m[i], m[i + 1]
    if enabled and not off[tonumber(item)] then
      going[run] = true
    else
      passed[run] = passed[run] or {}
      table.insert(passed[run], item)
    end
  end
  if not enabled then return going, decided, passed end
  local hw, last, a = call('HGETALL', k.hw), {}, call('HGETALL', k.a)
  for i = 1, #hw, 2 do last[hw[i]] = tonumber(string.match(hw[i + 1], '^%d+')) end
  for i = 1, #a, 2 do
    for item, floor in pairs(a[i] ~= '' and ungroup(a[i + 1], {}) or {}) do
      if not off[item] then decided = math.min(decided, math.max(floor, last[a[i]] or 0)) end
    end
  end
  return going, decided, passed
end

-- result is how a run ended, nil while it goes on; of a timed one also whether that is
-- only because items may yet begin.
local function result(k, run, going, decided)
  if not string.find(run, '%D') then
    if going[run] then return nil, false end
    if tonumber(run) > decided then return nil, true end
    return call('HEXISTS', k.d, run .. '!') == 1 and 'F' or 'S'
  end
  local manual = trigger(k, run)
  if manual and manual.ended == '0' then return nil, false end
  return manual and not string.find(manual.ends, '@[^S]') and 'S' or 'F'
end

local function forget_runs(k, told, spoilt)
  local gone = {}
  table.sort(told, function(a, b) return a.ms < b.ms or a.ms == b.ms and a.run < b.run end)
  for i, r in ipairs(told) do
    local age = NOW - r.ms
    if age > KEPT or #told - i >= FEW and age > BRIEF then
      gone[#gone + 1] = r.run
      gone[#gone + 1] = r.run .. '!'
    end
  end
  for _, run in ipairs(sorted(spoilt)) do gone[#gone + 1] = run .. '!' end
  chunked('HDEL', k.d, gone)
end

local function unlink(k, down, names)
  for _, name in ipairs(names) do down[name] = nil end
  local text = table.concat(sorted(down), ',')
  if text == '' then
    call('HDEL', k.d, 'down')
    call('HDEL', k.j, 'ds')
  else
    call('HSET', k.d, 'down', text)
    if call('HEXISTS', k.j, 'ds') == 1 then call('HSET', k.j, 'ds', text) end
  end
  return text
end

local function missing(up, edges)
  local list, has = {}, edges_of(edges)
  for _, name in ipairs(sorted(edges_of(up))) do
    if not has[name] then list[#list + 1] = name end
  end
  return table.concat(list, ',')
end

local function close(k, name, heard, leavers)
  local s = call('HMGET', k.j, 'cver', 'st', 'dn', 'up')
  local down, runs, spoilt = call('HGET', k.d, 'down') or '', {}, {}
  if #leavers > 0 then
    local names = {}
    for one in string.gmatch(down, '[^,]+') do names[one] = true end
    down = unlink(k, names, leavers)
  end
  local h = call('HGETALL', k.d)
  for i = 1, #h, 2 do
    local r = read_dependent(h[i + 1])
    if r then runs[h[i]] = r end
  end
  for i = 1, #h, 2 do
    local run = string.match(h[i], '^(%d+)!$')
    if run and not runs[run] then spoilt[run] = true end
  end
  for _, run in ipairs(heard) do
    if runs[run] and runs[run].state == 'E' then enter(k, run, runs[run], 'T') end
  end
  local ended, waiting, told, open, idle = {}, {}, {}, false, 0
  local going, decided, passed
  for _, run in ipairs(sorted(runs)) do
    local r = runs[run]
    if r.state == 'O' then
      if not going then going, decided, passed = progress(k, s[2] == 'E', s[3]) end
      local outcome, yet = result(k, run, going, decided)
      if yet then idle = 1 end
      if outcome then
        r.outcome = outcome
        enter(k, run, r, 'E')
        chunked('HDEL', k.m, passed[run] or {})
      end
    end
    if r.state == 'E' and down == '' then enter(k, run, r, 'T') end
    if r.state == 'E' then
      ended[#ended + 1] = run
      ended[#ended + 1] = r.outcome
    elseif r.state == 'W' then
      waiting[#waiting + 1] = run
      waiting[#waiting + 1] = missing(s[4], r.edges)
    elseif r.state == 'T' then
      told[#told + 1] = {run = run, ms = r.ms}
    end
    open = open or r.state ~= 'T'
  end
  forget_runs(k, told, spoilt)
  if not open then call('ZREM', RUNS, name) end
  local reply = {down, idle, #ended / 2}
  for _, v in ipairs(ended) do reply[#reply + 1] = v end
  reply[#reply + 1] = #waiting / 2
  for _, v in ipairs(waiting) do reply[#reply + 1] = v end
  return reply
end

local function take_list()
  local list = {}
  for i = 1, tonumber(take()) do list[i] = take() end
  return list
end

local reply = {OK, num(NOW)}
for i = 1, count do reply[#reply + 1] = close(job(i), take(), take_list(), take_list()) end
return reply

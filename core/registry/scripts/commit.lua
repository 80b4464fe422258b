-- Replaces the assignments of jobs, each by compare-and-set on generation and
-- version. ARGV: node, epoch, term, hand-over ms, number of jobs, then for each:
-- name, expected generation, expected version, n, dirty version seen (0: none),
-- number of owners, owner, ranges, ...
-- Reply: OK, for each {code, generation, dropped, from} | refusal. code: OK, NONE
-- (nothing changed), STALE, GONE (an owner has no session), NOJOB
local node, epoch, term = take(), take(), take()
local handover, count = tonumber(take()), tonumber(take())
local refused = led(node, epoch, term)
if refused then return {refused} end
local live = {}
local function alive(n)
  if live[n] == nil then live[n] = call('HEXISTS', SESS, n) == 1 end
  return live[n]
end

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

local function commit(k, name, gen, ver, n, seen, wanted)
  local s = call('HMGET', k.j, 'gen', 'cver', 'tok', 'mon', 'fl', 'from', 'an', 'dn')
  if not s[1] then return {NOJOB, '0', '', '0'} end
  if s[1] ~= gen or s[2] ~= ver then return {STALE, s[1], '', '0'} end
  local target = {}
  for _, w in ipairs(wanted) do
    if not alive(w.node) then return {GONE, s[1], '', '0'} end
    unranges(w.items, target, w.node)
  end
  local floor, owner = floors_of(k, gen == '0')
  local same, waits = gen ~= '0' and s[7] == num(n), false
  for i = 0, n - 1 do
    -- Items that nobody may run keep their floors under the empty name.
    target[i] = target[i] or ''
    if owner[i] ~= target[i] then
      same = false
      if owner[i] and alive(owner[i]) then waits = true end
    end
  end
  if seen ~= '0' and tonumber(call('ZSCORE', DIRTY, name) or '0') == tonumber(seen) then
    call('ZREM', DIRTY, name)
  end
  local dropped = ''
  if tonumber(s[7] or '0') > n or (s[8] or '') ~= '' then dropped = drop(k, n, s[8] or '') end
  if same then return {NONE, gen, dropped, s[6]} end

  local by, list, x = {}, {}, 0
  for i = 0, n - 1 do
    by[target[i]] = by[target[i]] or {}
    by[target[i]][i] = floor[i] or tonumber(s[5])
  end
  for _, owns in ipairs(sorted(by)) do
    list[#list + 1] = owns
    list[#list + 1] = group(by[owns])
  end
  call('DEL', k.a, k.hw)
  if gen ~= '0' then
    for _, v in ipairs(call('HVALS', k.r)) do x = x + #marks(v) end
  end
  chunked('HSET', k.a, list)
  local new = num(after(s[3]))
  local from = gen == '0' and s[5] or num(waits and NOW + handover or NOW)
  call('HSET', k.j, 'gen', new, 'tok', new, 'x', num(x), 'an', num(n), 'from', from)
  return {OK, new, dropped, from}
end

local reply, names, gens = {OK}, {}, {}
for i = 1, count do
  local name, gen, ver, n, seen, owners = take(), take(), take(), tonumber(take()), take(), tonumber(take())
  local wanted = {}
  for w = 1, owners do
    local owns, items = take(), take()
    wanted[w] = {node = owns, items = items}
  end
  local r = commit(job(i), name, gen, ver, n, seen, wanted)
  if r[1] == OK then
    names[#names + 1] = name
    gens[#gens + 1] = r[2]
  end
  reply[#reply + 1] = r
end
if #names > 0 then bump('assigned', '', table.concat(names, ','), table.concat(gens, ',')) end
return reply

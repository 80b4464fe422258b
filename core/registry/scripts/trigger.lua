-- Queues items of a job for a manual run. ARGV: job, id, mode (Q: items that run or
-- wait get their turn; R: nothing is queued if any does), by, items ('': all),
-- instance ('': any; else the items that its nodes own), parameter given (0 or 1),
-- parameter. The same id gets the same answer again.
-- Reply: OK, at, accepted, refused ("items@reason@id;..."), repeated (0 or 1) | NOJOB
-- | GONE, n (there are no such items) | NONE (there are none) | PENDING (too
-- many triggers are under way)
local k = job(1)
local name, id, mode, by, wanted = take(), take(), take(), take(), take()
local instance, has, param = take(), take(), take()
local s = call('HMGET', k.j, 'cver', 'st', 'dn', 'gen')
if not s[1] then return {NOJOB} end
local before = trigger(k, id)
if before then return {OK, before.at, before.accepted, before.refused, 1} end

local n, items = total(k), {}
if instance ~= '' then
  local h = call('HGETALL', k.a)
  for i = 1, #h, 2 do
    if h[i] ~= '' and (h[i] == instance or server(h[i]) == instance) then ungroup(h[i + 1], items) end
  end
  for item in pairs(items) do
    if item >= n then items[item] = nil end
  end
elseif wanted == '' then
  for item = 0, n - 1 do items[item] = true end
else
  unranges(wanted, items, true)
  for item in pairs(items) do
    if item >= n then return {GONE, n} end
  end
end
if not next(items) then return {NONE} end

-- sweep keeps the answers of an hour, and when that are too many, the later half.
local KEPT, MOST = 3600000, 1000
local function sweep()
  if call('HLEN', k.t) < MOST then return true end
  local h, ended, gone = call('HGETALL', k.t), {}, {}
  for i = 1, #h, 2 do
    local e = string.match(h[i + 1], '^%d+|(%d+)|')
    if e ~= '0' then ended[#ended + 1] = {id = h[i], at = tonumber(e or '0')} end
  end
  table.sort(ended, function(a, b) return a.at < b.at or a.at == b.at and a.id < b.id end)
  for i, e in ipairs(ended) do
    if e.at < NOW - KEPT or i <= MOST / 2 then gone[#gone + 1] = e.id end
  end
  chunked('HDEL', k.t, gone)
  return #gone > 0
end

local function busy_items()
  local busy = {}
  for _, v in ipairs(call('HVALS', k.r)) do
    for _, m in ipairs(marks(v)) do unranges(m.it, busy, true) end
  end
  for _, item in ipairs(call('HKEYS', k.f)) do busy[tonumber(item)] = true end
  return busy
end

local refused = {}
local function refuse(item, why)
  refused[why] = refused[why] or {}
  refused[why][item] = true
end

local off, waits, h = unranges(s[3] or '', {}, true), {}, call('HGETALL', k.q)
for i = 1, #h, 2 do waits[tonumber(h[i])] = h[i + 1] end
local busy = mode == 'R' and busy_items() or {}
local go, blocked = {}, false
for item in pairs(items) do
  if s[2] == 'D' then
    refuse(item, 'job-disabled@')
  elseif off[item] then
    refuse(item, 'disabled@')
  elseif waits[item] then
    refuse(item, 'queued@' .. waits[item])
    blocked = mode == 'R'
  elseif busy[item] then
    refuse(item, 'running@')
    blocked = true
  else
    go[item] = true
  end
end
if blocked then go = {} end
local list = {}
for _, why in ipairs(sorted(refused)) do list[#list + 1] = ranges(refused[why]) .. '@' .. why end
local accepted, reasons, queue = ranges(go), table.concat(list, ';'), {}
if accepted == '' then return {OK, num(NOW), '', reasons, 0} end
if not sweep() then return {PENDING} end
for _, item in ipairs(sorted(go)) do
  queue[#queue + 1] = num(item)
  queue[#queue + 1] = id
end
chunked('HSET', k.q, queue)
put_trigger(k, id, {
  at = num(NOW), ended = '0', mode = mode, by = by, accepted = accepted, refused = reasons,
  left = accepted, ends = '', has = has, param = param,
})
bump('trigger', '', name, s[4] or '0')
return {OK, num(NOW), accepted, reasons, 0}

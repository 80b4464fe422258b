-- The part shared by the scripts that queue items for a manual run; it stands behind
-- manual.lua in those.

-- sweep_triggers keeps the answers of an hour, and when that are too many, the later half.
local ANSWERS, MOST = 3600000, 1000
local function sweep_triggers(k)
  if call('HLEN', k.t) < MOST then return true end
  local h, ended, gone = call('HGETALL', k.t), {}, {}
  for i = 1, #h, 2 do
    local e = string.match(h[i + 1], '^%d+|(%d+)|')
    if e ~= '0' then ended[#ended + 1] = {id = h[i], at = tonumber(e or '0')} end
  end
  table.sort(ended, function(a, b) return a.at < b.at or a.at == b.at and a.id < b.id end)
  for i, e in ipairs(ended) do
    if e.at < NOW - ANSWERS or i <= MOST / 2 then gone[#gone + 1] = e.id end
  end
  chunked('HDEL', k.t, gone)
  return #gone > 0
end

-- busy_items are those that run or wait for failover.
local function busy_items(k)
  local busy = {}
  for _, v in ipairs(call('HVALS', k.r)) do
    for _, m in ipairs(marks(v)) do unranges(m.it, busy, true) end
  end
  for _, item in ipairs(call('HKEYS', k.f)) do busy[tonumber(item)] = true end
  return busy
end

-- queue lets items wait for a manual run. by, has and param are of the trigger; st and
-- dn are the job's. It returns what is accepted and refused, or nil when too many
-- triggers are under way.
local function queue(k, id, items, mode, by, has, param, st, dn)
  local refused = {}
  local function refuse(item, why)
    refused[why] = refused[why] or {}
    refused[why][item] = true
  end

  local off, waits, h = unranges(dn or '', {}, true), {}, call('HGETALL', k.q)
  for i = 1, #h, 2 do waits[tonumber(h[i])] = h[i + 1] end
  local busy = mode == 'R' and busy_items(k) or {}
  local go, blocked = {}, false
  for item in pairs(items) do
    if st == 'D' then
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
  local accepted, reasons, waiting = ranges(go), table.concat(list, ';'), {}
  if accepted == '' then return '', reasons end
  if not sweep_triggers(k) then return nil end
  for _, item in ipairs(sorted(go)) do
    waiting[#waiting + 1] = num(item)
    waiting[#waiting + 1] = id
  end
  chunked('HSET', k.q, waiting)
  put_trigger(k, id, {
    at = num(NOW), ended = '0', mode = mode, by = by, accepted = accepted, refused = reasons,
    left = accepted, ends = '', has = has, param = param,
  })
  return accepted, reasons
end

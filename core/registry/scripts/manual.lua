-- The part shared by the scripts that know of manual triggers; it stands behind
-- lib.lua, and gather.lua if that is there, in those.

-- What is kept of a manual trigger: at|ended|mode|by|accepted|refused|left|ends|has|parameter.
-- left are the items that have not ended, ends the others as "0-2@S;3@F".
local TRIGGER = '^(%d+)|(%d+)|(%a)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([01])|(.*)$'
local function trigger(k, id)
  local at, ended, mode, by, accepted, refused, left, ends, has, param =
    string.match(call('HGET', k.t, id) or '', TRIGGER)
  if not at then return nil end
  return {
    at = at, ended = ended, mode = mode, by = by, accepted = accepted, refused = refused,
    left = left, ends = ends, has = has, param = param,
  }
end

local function put_trigger(k, id, t)
  call('HSET', k.t, id, table.concat(
    {t.at, t.ended, t.mode, t.by, t.accepted, t.refused, t.left, t.ends, t.has, t.param}, '|'))
end

-- is_manual tells whether a mark is of a manual trigger: its T is an id, no instant.
local function is_manual(m) return string.find(m.t, '%D') ~= nil end

-- total is the number of items of a job; one that broadcasts has those assigned.
local function total(k)
  local s = call('HMGET', k.j, 'n', 'how', 'an')
  return tonumber((s[2] == 'B' and s[3] or s[1]) or '0')
end

-- settle notes how items of a trigger ended: S, F, C, or L when they never will.
-- It tells whether they were the last.
local function settle(k, id, items, outcome)
  local t = trigger(k, id)
  if not t then return false end
  local left, by, out = unranges(t.left, {}, true), {}, {}
  for r, o in string.gmatch(t.ends, '([^@;]+)@(%a)') do by[o] = unranges(r, {}, true) end
  local ended = false
  by[outcome] = by[outcome] or {}
  for item in pairs(items) do
    if left[item] then
      left[item], by[outcome][item], ended = nil, true, true
    end
  end
  if not ended then return false end
  for _, o in ipairs(sorted(by)) do
    if next(by[o]) then out[#out + 1] = ranges(by[o]) .. '@' .. o end
  end
  t.left, t.ends = ranges(left), table.concat(out, ';')
  local over = t.left == ''
  if over then t.ended, t.has, t.param = num(NOW), '0', '' end
  put_trigger(k, id, t)
  return over
end

-- pick_manual picks the first trigger that free items of mine wait for, and these items;
-- others are held, or of other triggers.
local function pick_manual(k, mine, busy, skip)
  local h, waits, first, held = call('HGETALL', k.q), {}, nil, {}
  for i = 1, #h, 2 do
    local item, id = tonumber(h[i]), h[i + 1]
    if mine[item] and (busy[item] or skip[item]) then
      held[item] = true
    elseif mine[item] then
      waits[item] = id
      if not first or id < first then first = id end
    end
  end
  local go, del, more = {}, {}, 0
  for _, item in ipairs(sorted(waits)) do
    if waits[item] == first then
      go[item] = true
      del[#del + 1] = num(item)
    else
      more = 1
    end
  end
  chunked('HDEL', k.q, del)
  -- Nobody knows any more what these were to do.
  if first and not trigger(k, first) then return pick_manual(k, mine, busy, skip) end
  return first or '0', go, ranges(held), more
end

-- grant_manual is the answer to a begin of kind O.
local function grant_manual(k, fence, items, held, id, more)
  local t = trigger(k, id) or {at = '0', has = '0', param = ''}
  return {OK, fence, items, held, '', t.at, 0, id, more, t.has, t.param}
end

local over, again = {}, {} -- jobs of which a trigger has ended, or has items to run again

-- end_manual credits items to their trigger. What was not started waits for its turn
-- again, unless another trigger does or the item is gone; of a job that broadcasts, if
-- it is still one of mine: another instance has its own.
local function end_manual(k, name, id, ended, outcome, mine)
  if outcome == 'B' then
    local n, late, gone, back = total(k), {}, {}, false
    for _, item in ipairs(sorted(ended)) do
      if item >= n then
        gone[item] = true
      elseif (not mine or mine[item]) and call('HSETNX', k.q, num(item), id) == 1 then
        back = true
      else
        late[item] = true
      end
    end
    if back then again[#again + 1] = name end
    if settle(k, id, gone, 'L') then over[#over + 1] = name end
    ended, outcome = late, 'C'
  end
  if settle(k, id, ended, outcome) then over[#over + 1] = name end
end

-- tell_manual tells of what has happened to triggers.
local function tell_manual(node)
  if #again > 0 then bump('trigger', node, table.concat(again, ','), '') end
  if #over > 0 then bump('triggered', node, table.concat(over, ','), '') end
end

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
local s = call('HMGET', k.j, 'cver', 'st', 'dn', 'gen', 'ds')
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

local accepted, refused = queue(k, id, items, mode, by, has, param, s[2], s[3])
if not accepted then return {PENDING} end
if accepted ~= '' then
  if s[5] then open_run(k, name, id) end
  bump('trigger', '', name, s[4] or '0')
end
return {OK, num(NOW), accepted, refused, 0}

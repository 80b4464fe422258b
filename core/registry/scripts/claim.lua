-- Takes over items that dead sessions were running. ARGV: node, epoch, number of jobs,
-- then for each: name, how many items at most, items to leave out, req.
-- Reply: OK, lease deadline, for each {OK, fence, items, at, trigger ('': none),
-- parameter given (0 or 1), parameter, former ("items|node;..."), more (0 or 1),
-- items with a checkpoint, those checkpoints in the order of the items...}
-- | {NONE, more} | {DISABLED} | {NOJOB}
-- A request that is repeated gets the same answer, but for the former owners.
local node, epoch, count = take(), take(), tonumber(take())
if quarantined() then return {QUARANTINE} end
local until_ms = deadline(node, epoch)
if not until_ms then return {LOST} end
local off = call('HEXISTS', OFF, server(node)) == 1

-- earlier orders runs: timed ones by their instant, and triggers after them by id.
local function earlier(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

-- pick takes the first run that free items wait for, and at most so many of its items.
local function pick(k, most, skip)
  local h, runs, first, waiting = call('HGETALL', k.f), {}, nil, 0
  for i = 1, #h, 2 do
    local item = tonumber(h[i])
    local t, fence, was = string.match(h[i + 1], '^([^|]*)|%a|(%d+)|(.*)|%d+$')
    if t and not skip[item] then
      waiting = waiting + 1
      runs[item] = {t = t, fence = fence, node = was}
      if not first or earlier(t, first) then first = t end
    end
  end
  -- Others that live take their part.
  most = math.min(most, math.ceil(waiting / math.max(call('ZCARD', LEASE), 1)))
  local go, former, fences, del = {}, {}, {}, {}
  for _, item in ipairs(sorted(runs)) do
    local one = runs[item]
    if one.t == first and #del < most then
      go[item], former[item], fences[item] = true, one.node, one.fence
      del[#del + 1] = num(item)
    end
  end
  chunked('HDEL', k.f, del)
  return first, go, orphans(former), fences, waiting > #del
end

-- pass_on makes the checkpoints that the items saved in the run those of its next
-- fence, so that who saved them cannot any more.
local function pass_on(k, fences, fence)
  if call('HLEN', k.cp) == 0 then return end
  for _, item in ipairs(sorted(fences)) do
    local was, data = string.match(call('HGET', k.cp, num(item)) or '', '^(%d+)|(.*)$')
    if was == fences[item] then call('HSET', k.cp, num(item), fence .. '|' .. data) end
  end
end

local function grant(k, fence, items, t, former, more)
  local at, id, has, param = t, '', '0', ''
  if string.find(t, '%D') then
    local of = trigger(k, t) or {at = '0', has = '0', param = ''}
    at, id, has, param = of.at, t, of.has, of.param
  end
  local reply, saved = {OK, fence, items, at, id, has, param, former, more, ''}, {}
  if call('HLEN', k.cp) > 0 then
    for _, item in ipairs(sorted(unranges(items, {}, true))) do
      local of, data = string.match(call('HGET', k.cp, num(item)) or '', '^(%d+)|(.*)$')
      if of == fence then
        saved[item] = true
        reply[#reply + 1] = data
      end
    end
    reply[10] = ranges(saved)
  end
  return reply
end

local function claim(k, most, skip, req)
  local s = call('HMGET', k.j, 'cver', 'st', 'tok', 'dn', 'nd')
  if not s[1] then return {NOJOB} end
  local own = marks(call('HGET', k.r, node))
  for _, m in ipairs(own) do
    if m.e == epoch and m.q == req then return grant(k, m.f, m.it, m.t, '', call('HLEN', k.f) > 0 and 1 or 0) end
  end
  if is_late(k, node, epoch, req) then return {NONE, call('HLEN', k.f) > 0 and 1 or 0} end
  if s[2] == 'D' or off then return {DISABLED} end
  if tonumber(s[5] or '0') > 0 and call('HEXISTS', k.st, 'node:' .. server(node)) == 1 then
    return {DISABLED}
  end
  unranges(s[4] or '', skip, true)
  if #own >= MAXMARKS then most = 0 end
  local t, go, former, fences, more = pick(k, most, skip)
  if not next(go) then return {NONE, more and 1 or 0} end
  local fence, items = num(after(s[3])), ranges(go)
  pass_on(k, fences, fence)
  own[#own + 1] = {f = fence, e = epoch, g = '0', k = 'F', t = t, q = req, it = items}
  put_marks(k.r, node, own)
  call('HSET', k.j, 'tok', fence)
  call('HINCRBY', k.j, 'x', 1)
  return grant(k, fence, items, t, former, more and 1 or 0)
end

local reply = {OK, until_ms}
for i = 1, count do
  take() -- the name, which the keys tell too
  reply[#reply + 1] = claim(job(i), tonumber(take()), unranges(take(), {}, true), take())
end
return reply

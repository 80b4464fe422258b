-- Tells a job that a run of one that it depends on has ended, and starts or skips its
-- own run of that id when it has heard of all. ARGV: job, run, the other job, outcome
-- (S, F, K: it was skipped, or there will be none), when this was so by the clock of the
-- other one (ms).
-- Reply: OK, state (W: it waits for others, O: its run is queued, K: it is skipped),
-- reason, accepted, refused | NOJOB | NONE (it does not depend on that) | STALE (the
-- word is old)
local k = job(1)
local name, run, from, outcome, as_of = take(), take(), take(), take(), tonumber(take())
-- Who has slept since may tell of what is forgotten by now.
local LATE, MOST = 60000, 100
if quarantined() then return {QUARANTINE} end
if math.abs(NOW - as_of) > LATE then return {STALE} end
local s = call('HMGET', k.j, 'cver', 'st', 'dn', 'up', 'gen')
if not s[1] then return {NOJOB} end
local up = edges_of(s[4])
if not up[from] then return {NONE} end

local function answer(r)
  if r.outcome == 'K' then return {OK, 'K', r.reason, '', ''} end
  local t = trigger(k, run) or {accepted = '', refused = ''}
  return {OK, r.state == 'W' and 'W' or 'O', '', t.accepted, t.refused}
end

local function skip(id, r, reason)
  r.outcome, r.reason = 'K', reason
  enter(k, id, r, 'E')
  call('ZADD', RUNS, num(NOW), name)
  bump('ended', '', name, '')
end

-- decide starts or skips the run once all edges are known.
local function decide(r)
  local edges = edges_of(r.edges)
  for other in pairs(up) do
    if not edges[other] then return end
  end
  for _, other in ipairs(sorted(up)) do
    if up[other] ~= 'A' and edges[other] ~= up[other] then return skip(run, r, 'upstream') end
  end
  local items, n = {}, total(k)
  for item = 0, n - 1 do items[item] = true end
  if n == 0 then return skip(run, r, 'no-items') end
  if not trigger(k, run) then
    local accepted = queue(k, run, items, 'Q', 'dependsOn', '0', '', s[2], s[3])
    if not accepted then return skip(run, r, 'too-many') end
    if accepted == '' then return skip(run, r, s[2] == 'D' and 'job-disabled' or 'items-busy') end
  end
  enter(k, run, r, 'O')
  bump('trigger', '', name, s[5] or '0')
end

-- crowd skips the run that has waited longest for others if there are too many.
local function crowd()
  local h, first, waits = call('HGETALL', k.d), nil, 0
  for i = 1, #h, 2 do
    local r = read_dependent(h[i + 1])
    if r and r.state == 'W' then
      waits = waits + 1
      r.run = h[i]
      if not first or r.ms < first.ms or r.ms == first.ms and r.run < first.run then first = r end
    end
  end
  if waits > MOST then skip(first.run, first, 'upstream-missing') end
end

local r = read_dependent(call('HGET', k.d, run))
if r and r.state ~= 'W' then return answer(r) end
local fresh = not r
r = r or {outcome = '', edges = '', reason = ''}
if not edges_of(r.edges)[from] then
  r.edges = (r.edges == '' and '' or r.edges .. ';') .. from .. '@' .. outcome
end
enter(k, run, r, 'W')
call('ZADD', RUNS, num(NOW), name)
decide(r)
if fresh and r.state == 'W' then crowd() end
return answer(r)

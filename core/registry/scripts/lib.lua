-- The part shared by all scripts; it stands before each of them.
--
-- KEYS: the twelve of the partition, then twelve for each job, or fewer of those that
-- begin and complete get (see keys.go).
-- ARGV: the doorbell channel, the command that rings it, whether the server may
-- become another one (0 or 1), then what the script takes, in its order.
-- A reply starts with a code. The clock is read once, numbers are written with
-- num, and no order of pairs reaches a reply or a value.
local call = redis.call
local META, LEASE, SESS, INFO, LEADER = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local DEAD, JOBS, DIRTY, FEED, STOP, OFF = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local RUNS = KEYS[12]
local OK, NONE, LOST, STALE, DISABLED, QUARANTINE = 1, 0, -1, -2, -3, -4
local DUP, CONFLICT, NOTLEADER, NOJOB, GONE, EARLY, PENDING, OVER = -5, -6, -7, -8, -9, -10, 2, 3
-- LAG is how far behind, in ms, a replica may be when it is promoted.
local FEEDLEN, MAXMARKS, CHUNK, LAG = '10000', 64, 1000, 2000

local clock = call('TIME')
local US = clock[1] * 1000000 + clock[2]
local NOW = math.floor(US / 1000)

local arg = 3
local function take() arg = arg + 1 return ARGV[arg] end

local function num(x) return string.format('%.0f', x) end

-- after is the next hybrid-logical number: the clock, but always above last.
local function after(last) return math.max((tonumber(last or '0') or 0) + 1, US) end

-- job is the twelve keys of the i-th job of this call.
local function job(i)
  local k = 12 * i
  return {
    j = KEYS[k + 1], a = KEYS[k + 2], r = KEYS[k + 3], hw = KEYS[k + 4], m = KEYS[k + 5],
    f = KEYS[k + 6], q = KEYS[k + 7], st = KEYS[k + 8], cp = KEYS[k + 9],
    t = KEYS[k + 10], g = KEYS[k + 11], d = KEYS[k + 12],
  }
end

local function sorted(set)
  local list = {}
  for k in pairs(set) do list[#list + 1] = k end
  table.sort(list)
  return list
end

-- chunked sends list to a command in parts, as unpack has a limit.
local function chunked(command, key, list)
  for i = 1, #list, CHUNK do
    call(command, key, unpack(list, i, math.min(i + CHUNK - 1, #list)))
  end
end

-- join is table.concat in parts, as the embedded server puts its list on the
-- stack.
local function join(list, sep)
  if #list <= CHUNK then return table.concat(list, sep) end
  local parts = {}
  for i = 1, #list, CHUNK do
    parts[#parts + 1] = table.concat(list, sep, i, math.min(i + CHUNK - 1, #list))
  end
  return table.concat(parts, sep)
end

-- Items travel as ranges, "0-3,9"; items with a value as "0-3@7;9@8". Whatever
-- somebody has written, there are no more than these.
local LASTITEM = 9999
local function unranges(text, into, value)
  for a, b in string.gmatch(text, '(%d+)%-?(%d*)') do
    a = tonumber(a)
    b = math.min(tonumber(b) or a, LASTITEM)
    for i = a, b do into[i] = value end
  end
  return into
end

local function ranges(set)
  local list, out, i = sorted(set), {}, 1
  while i <= #list do
    local k = i
    while list[k + 1] == list[k] + 1 do k = k + 1 end
    out[#out + 1] = k == i and num(list[i]) or num(list[i]) .. '-' .. num(list[k])
    i = k + 1
  end
  return join(out, ',')
end

local function ungroup(text, into)
  for r, v in string.gmatch(text or '', '([^@;]+)@(%d+)') do unranges(r, into, tonumber(v)) end
  return into
end

local function group(values)
  local by, out = {}, {}
  for item, v in pairs(values) do
    by[v] = by[v] or {}
    by[v][item] = true
  end
  for _, v in ipairs(sorted(by)) do out[#out + 1] = ranges(by[v]) .. '@' .. num(v) end
  return join(out, ';')
end

-- bump writes one entry of the feed, rings the doorbell, returns the version.
local function bump(kind, node, jobs, gens)
  local prev = call('HGET', META, 'ver') or '0'
  local ver = num(after(prev))
  call('HSET', META, 'ver', ver)
  call('XADD', FEED, 'MAXLEN', '~', FEEDLEN, ver .. '-0',
    'prev', prev, 'kind', kind, 'node', node, 'job', jobs, 'gen', gens)
  call(ARGV[2], ARGV[1], prev .. ' ' .. ver .. ' ' .. kind .. ' ' .. jobs .. ' ' .. gens)
  return ver
end

local function mark_dirty(names, ver)
  local list = {}
  for _, name in ipairs(names) do
    list[#list + 1] = ver
    list[#list + 1] = name
  end
  chunked('ZADD', DIRTY, list)
end

-- deadline is the end of a valid lease, nil when the session is lost.
local function deadline(node, epoch)
  local s = call('HGET', SESS, node)
  if not s or string.match(s, '^%d+') ~= epoch then return nil end
  local d = tonumber(call('ZSCORE', LEASE, node) or '')
  if not d or d < NOW then return nil end
  return num(d)
end

-- known is those of the arguments from first on that are jobs.
local function known(first)
  local jobs = {}
  for i = first, #ARGV, CHUNK do
    local versions = call('HMGET', JOBS, unpack(ARGV, i, math.min(i + CHUNK - 1, #ARGV)))
    for k = 1, #versions do
      if versions[k] then jobs[#jobs + 1] = ARGV[i + k - 1] end
    end
  end
  return jobs
end

-- bury_later keeps a session that ended as dead: what it left is the leader's to
-- drain. stopped is its last instant if it says so now; it stays as it was said
-- first. Else it is not known to have fired after its last renewal.
local function bury_later(node, epoch, stopped, ttl)
  stopped = call('HGET', STOP, node) or stopped
  local value
  if stopped then
    value = stopped .. '|g'
  else
    local d = tonumber(call('ZSCORE', LEASE, node) or '0')
    value = num(math.max(d - ttl, 0)) .. '|d'
  end
  call('HSET', DEAD, node .. ':' .. epoch, value)
end

-- forget ends what belongs to a session.
local function forget(node)
  call('HDEL', SESS, node)
  call('HDEL', INFO, node)
  call('HDEL', STOP, node)
  call('ZREM', LEASE, node)
end

-- primary is the identity of this server process.
local function primary() return string.match(call('INFO', 'server'), 'run_id:(%w+)') or '' end

-- not_before is the end of the quarantine, which begins when this server is not
-- the one of before: it was promoted or restarted and may have lost writes, so
-- holders of leases and items that it knows nothing of may still be at work.
local function not_before()
  local m = call('HMGET', META, 'notBefore', 'primary')
  local before = tonumber(m[1] or '0')
  if ARGV[3] ~= '1' then return before end
  local now = primary()
  if m[1] and m[2] ~= now then
    local t = call('HMGET', META, 'ttl', 'grace')
    before = math.max(before, NOW + tonumber(t[1]) + LAG + tonumber(t[2]))
    call('HSET', META, 'primary', now, 'notBefore', num(before))
    bump('quarantine', '', '', '')
  end
  return before
end

local function quarantined() return not_before() > NOW end

-- led refuses who is not the leader of this term.
local function led(node, epoch, term)
  if quarantined() then return QUARANTINE end
  if not deadline(node, epoch) then return LOST end
  local l = call('HMGET', LEADER, 'n', 'e', 'term', 'dl')
  if l[1] ~= node or l[2] ~= epoch or l[3] ~= term or (tonumber(l[4] or '0') or 0) < NOW then
    return NOTLEADER
  end
end

-- marks reads one node's running marks: fence|epoch|gen|kind|T-or-id|req|items.
local function marks(text)
  local out = {}
  for x in string.gmatch(text or '', '[^;]+') do
    local f, e, g, k, t, q, it =
      string.match(x, '^(%d+)|(%d+)|(%d+)|(%a)|([^|]*)|([^|]*)|([^|]*)$')
    out[#out + 1] = {f = f, e = e, g = g, k = k, t = t, q = q, it = it}
  end
  return out
end

local function put_marks(key, node, list)
  if #list == 0 then
    call('HDEL', key, node)
    return
  end
  local out = {}
  for i, m in ipairs(list) do
    out[i] = table.concat({m.f, m.e, m.g, m.k, m.t, m.q, m.it}, '|')
  end
  call('HSET', key, node, table.concat(out, ';'))
end

-- open_run notes that a run has begun on whose end other jobs wait (see close.lua).
local function open_run(k, name, run)
  if call('HSETNX', k.d, run, 'O|' .. num(NOW) .. '|||') == 1 then call('ZADD', RUNS, num(NOW), name) end
end

-- spoil notes that an item of such a run, if it is a timed one, did not succeed.
local function spoil(k, run)
  if not string.find(run, '%D') then call('HSET', k.d, run .. '!', '1') end
end

-- decided reads what a node has decided last: T, req, held, coalesced, asked. asked is
-- "epoch.n" of the last request that is no normal firing.
local function decided(k, node)
  return string.match(call('HGET', k.hw, node) or '0||||', '^(%d+)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
end

-- is_late tells whether a request is a copy that comes after its answer was heard: a
-- node sends the next one only then, and numbers them. What is no copy is noted.
local function is_late(k, node, epoch, req)
  local t, last, held, old, asked = decided(k, node)
  local n = string.match(req, '%d+$')
  local e, before = string.match(asked, '^(%d+)%.(%d+)$')
  if e == epoch and tonumber(n) <= tonumber(before) then return true end
  call('HSET', k.hw, node, table.concat({t, last, held, old, epoch .. '.' .. n}, '|'))
  return false
end

-- undecide forgets what nodes have decided, but for the requests of living sessions.
local function undecide(k)
  local h, keep = call('HGETALL', k.hw), {}
  for i = 1, #h, 2 do
    local asked = string.match(h[i + 1], '|(%d+%.%d+)$')
    if asked and string.match(asked, '^%d+') == string.match(call('HGET', SESS, h[i]) or '', '^%d+') then
      keep[#keep + 1] = h[i]
      keep[#keep + 1] = '0||||' .. asked
    end
  end
  call('DEL', k.hw)
  chunked('HSET', k.hw, keep)
end

-- server is the name that desired state knows a node by: ip@-@pid is the ip.
local function server(node) return string.match(node, '^(.-)@%-@') or node end

-- Orphans travel as "0-3|node;9|node": items and the owner that died.
local function unorphan(text)
  local former = {}
  for r, n in string.gmatch(text or '', '([^|;]+)|([^;]+)') do unranges(r, former, n) end
  return former
end

local function orphans(former)
  local by, out = {}, {}
  for item, n in pairs(former) do
    by[n] = by[n] or {}
    by[n][item] = true
  end
  for _, n in ipairs(sorted(by)) do out[#out + 1] = ranges(by[n]) .. '|' .. n end
  return join(out, ';')
end

-- raise lifts the floors of a job to now, as nothing before was missed; with a
-- name, only those of that server's nodes and of items without owner.
local function raise(k, name)
  local h, list, former = call('HGETALL', k.a), {}, unorphan(call('HGET', k.j, 'lo') or '')
  for i = 1, #h, 2 do
    if not name or h[i] == '' or server(h[i]) == name then
      local floors = ungroup(h[i + 1], {})
      for item, floor in pairs(floors) do
        floors[item] = math.max(floor, NOW)
        former[item] = nil
      end
      list[#list + 1] = h[i]
      list[#list + 1] = group(floors)
    end
  end
  if #list == 0 then return end
  chunked('HSET', k.a, list)
  call('HSET', k.j, 'lo', orphans(former))
end

-- Puts definitions back with their desired state, each where there is none or an
-- older version. ARGV: number of jobs, then for each: name, cfg, n, mon, mis, fo,
-- dis, version, updated, E or D, disabled items, up, number of disabled
-- servers, servers... Reply: OK, number put back
local count = tonumber(take())
local changed, gens, index = {}, {}, {}
for i = 1, count do
  local k, name, cfg, n, mon, mis, fo, dis, ver, upd, st, dn, up, servers =
    job(i), take(), take(), take(), take(), take(), take(), take(), take(), take(), take(), take(), take(), tonumber(take())
  local off = {}
  local function add(scope)
    off[#off + 1] = scope
    off[#off + 1] = 'D,restored,' .. num(NOW)
  end
  for _ = 1, servers do add('node:' .. take()) end
  for _, item in ipairs(sorted(unranges(dn, {}, true))) do add('item:' .. num(item)) end
  local s = call('HMGET', k.j, 'cver', 'gen', 'fl')
  if not s[1] or tonumber(s[1]) < tonumber(ver) then
    if not s[1] then call('HSET', k.j, 'gen', '0', 'pg', '0', 'tok', '0', 'x', '0', 'from', num(NOW + 1)) end
    call('HSET', k.j, 'cfg', cfg, 'cver', ver, 'upd', upd, 'n', n, 'mon', mon, 'mis', mis, 'fo', fo, 'dis', dis,
      'st', st, 'dn', dn, 'nd', num(servers), 'fl', num(math.max(tonumber(s[3] or '0'), NOW)))
    if up ~= '' then call('HSET', k.j, 'up', up) else call('HDEL', k.j, 'up') end
    local down = call('HGET', k.d, 'down')
    if down then call('HSET', k.j, 'ds', down) end
    call('DEL', k.st)
    chunked('HSET', k.st, off)
    -- What was due in between nobody can tell.
    raise(k)
    index[#index + 1] = name
    index[#index + 1] = ver
    changed[#changed + 1] = name
    gens[#gens + 1] = s[2] or '0'
  end
end
if #changed > 0 then
  chunked('HSET', JOBS, index)
  mark_dirty(changed, bump('job', '', table.concat(changed, ','), table.concat(gens, ',')))
end
return {OK, #changed}

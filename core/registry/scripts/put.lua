-- Stores definitions, each by compare-and-set on its version.
-- ARGV: number of jobs, then for each: name, cfg, n, mon, mis, fo, dis,
-- overwrite, expected version (0: none), up.
-- Reply: OK, for each {result, version, generation, stored cfg when it differs}
local count = tonumber(take())
local reply, changed, gens, index = {OK}, {}, {}, {}
for i = 1, count do
  local k, name, cfg, n, mon, mis, fo, dis, overwrite, expect, up =
    job(i), take(), take(), take(), take(), take(), take(), take(), take(), take(), take()
  local s = call('HMGET', k.j, 'cfg', 'cver', 'gen', 'n', 'mon', 'mis', 'fo', 'dis', 'fl')
  local result, ver, gen = 'updated', s[2], s[3] or '0'
  if not s[1] then
    result = 'created'
  elseif s[1] == cfg and s[4] == n and s[5] == mon and s[6] == mis and s[7] == fo and s[8] == dis then
    result = 'unchanged'
  elseif overwrite ~= '1' and expect == '0' then
    result = 'kept'
  elseif overwrite ~= '1' and expect ~= ver then
    result = 'conflict'
  end
  if result == 'created' or result == 'updated' then
    ver = num(math.max(after(ver), tonumber(expect)))
    local set = {'cfg', cfg, 'cver', ver, 'upd', num(NOW), 'n', n, 'mon', mon, 'mis', mis, 'fo', fo, 'dis', dis}
    local function also(...)
      for _, v in ipairs({...}) do set[#set + 1] = v end
    end
    local down = result == 'created' and call('HGET', k.d, 'down')
    if down then also('ds', down) end
    if result == 'created' then also('gen', '0', 'pg', '0', 'tok', '0', 'x', '0', 'from', num(NOW + 1)) end
    -- Only a flag that changes says what the state shall be.
    if s[8] ~= dis then also('st', dis == '1' and 'D' or 'E') end
    -- A firing before an item existed, was enabled or was monitored is not missed.
    local resumed = s[8] == '1' and dis == '0'
    if result == 'created' or s[4] ~= n or s[5] ~= mon or resumed then
      also('fl', num(math.max(tonumber(s[9] or '0'), NOW)))
    end
    if result == 'updated' and (s[5] ~= mon or resumed) then raise(k) end
    if up ~= '' then also('up', up) else call('HDEL', k.j, 'up') end
    call('HSET', k.j, unpack(set))
    index[#index + 1] = name
    index[#index + 1] = ver
    changed[#changed + 1] = name
    gens[#gens + 1] = gen
  end
  local differs = result == 'kept' or result == 'conflict'
  reply[#reply + 1] = {result, ver, gen, differs and s[1] or ''}
end
if #changed > 0 then
  chunked('HSET', JOBS, index)
  -- Any change may move items; a commit that moves none costs little.
  mark_dirty(changed, bump('job', '', table.concat(changed, ','), table.concat(gens, ',')))
end
return reply

-- Opens a session. ARGV: node, nonce, ttl, grace, schema, partitions, fresh incarnation,
-- wait (1: a namespace seen for the first time waits), info, hosted jobs...
-- Reply: OK, epoch, version, notBefore, incarnation, now | CONFLICT, deadline
-- | GONE, schema, partitions
local node, nonce, ttl, grace = take(), take(), tonumber(take()), tonumber(take())
local schema, parts, fresh, wait, info = take(), take(), take(), take(), take()

local meta = call('HMGET', META, 'inc', 'schema', 'P', 'hlc', 'notBefore', 'ver')
local inc, before = meta[1], meta[5] or '0'
if inc and (meta[2] ~= schema or meta[3] ~= parts) then return {GONE, meta[2] or '', meta[3] or ''} end

local old = call('HGET', SESS, node)
if old then
  local epoch, by = string.match(old, '^(%d+)|(.*)$')
  local live = epoch and deadline(node, epoch)
  if live and by == nonce then
    return {OK, epoch, meta[6] or '0', before, inc, num(NOW)}
  end
  if live then return {CONFLICT, live} end
  if epoch then bury_later(node, epoch, nil, ttl) end
  forget(node)
end

if not inc then
  inc = fresh
  before = wait == '1' and num(NOW + ttl + grace) or '0'
  call('HSET', META, 'schema', schema, 'P', parts, 'inc', inc, 'ttl', num(ttl), 'grace', num(grace), 'notBefore', before)
end
local epoch = num(after(meta[4]))
call('HSET', META, 'hlc', epoch)
call('HSET', SESS, node, epoch .. '|' .. nonce)
call('HSET', INFO, node, info)
call('ZADD', LEASE, num(NOW + ttl), node)

local ver = bump('join', node, '', '')
mark_dirty(known(arg + 1), ver)
return {OK, epoch, ver, before, inc, num(NOW)}

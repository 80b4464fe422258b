-- Opens a session; repeated, it extends its lease. ARGV: node, nonce, ttl, grace,
-- schema, partitions, fresh incarnation, info, hosted jobs...
-- Reply: OK, epoch, version, notBefore, incarnation, now | CONFLICT, until when
-- | GONE, schema, partitions
local node, nonce, ttl, grace = take(), take(), tonumber(take()), tonumber(take())
local schema, parts, fresh, info = take(), take(), take(), take()

local meta = call('HMGET', META, 'inc', 'schema', 'P', 'hlc', 'ttl', 'grace')
local inc, before = meta[1], '0'
if inc and (meta[2] ~= schema or meta[3] ~= parts) then return {GONE, meta[2] or '', meta[3] or ''} end
if inc then before = num(not_before()) end

local old = call('HGET', SESS, node)
if old then
  local epoch, by = string.match(old, '^(%d+)|(.*)$')
  local live = epoch and deadline(node, epoch)
  if live and by == nonce then
    call('ZADD', LEASE, num(NOW + ttl), node)
    return {OK, epoch, call('HGET', META, 'ver') or '0', before, inc, num(NOW)}
  end
  -- Code of a session that is over may be stopping until it can be reaped.
  local ended = epoch and tonumber(call('ZSCORE', LEASE, node) or '')
  if ended and ended + grace >= NOW then return {CONFLICT, num(ended + grace)} end
  if epoch then bury_later(node, epoch, nil, ttl) end
  forget(node)
end

if not inc then
  inc = fresh
  -- A namespace seen for the first time may have come back empty.
  before = ARGV[3] == '1' and num(NOW + ttl + grace) or '0'
  call('HSET', META, 'schema', schema, 'P', parts, 'inc', inc, 'ttl', num(ttl), 'grace', num(grace), 'notBefore', before)
  if ARGV[3] == '1' then call('HSET', META, 'primary', primary()) end
elseif ttl > tonumber(meta[5]) or grace > tonumber(meta[6]) then
  -- The longest lease decides how long a quarantine is.
  call('HSET', META, 'ttl', num(math.max(ttl, tonumber(meta[5]))), 'grace', num(math.max(grace, tonumber(meta[6]))))
end
local epoch = num(after(meta[4]))
call('HSET', META, 'hlc', epoch)
call('HSET', SESS, node, epoch .. '|' .. nonce)
call('HSET', INFO, node, info)
call('ZADD', LEASE, num(NOW + ttl), node)

local ver = bump('join', node, '', '')
mark_dirty(known(arg + 1), ver)
return {OK, epoch, ver, before, inc, num(NOW)}

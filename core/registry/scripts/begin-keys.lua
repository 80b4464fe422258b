-- begin gets only these keys of a job where gather.lua and manual.lua do not stand before
-- it: it is run most often, and each key has its cost.
local function job(i)
  local k = 8 * i + 4
  return {
    j = KEYS[k + 1], a = KEYS[k + 2], r = KEYS[k + 3], hw = KEYS[k + 4],
    m = KEYS[k + 5], f = KEYS[k + 6], st = KEYS[k + 7], d = KEYS[k + 8],
  }
end

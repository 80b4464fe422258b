-- Lifts the floors of a server's nodes, and of items without owner, to now: what was
-- due while they were disabled is not missed. ARGV: server, number of jobs.
-- Reply: OK
local name, count = take(), tonumber(take())
for i = 1, count do raise(job(i), name) end
return {OK}

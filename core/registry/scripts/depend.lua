-- The part shared by the scripts that lead from a job to those that depend on it.
--
-- A field of k.d is a run, by its instant in ms or its trigger: state|ms when that
-- began|outcome|edges|reason. state is W (it waits for runs of other jobs), O (open:
-- it has begun or is queued), E (ended, and not all that depend on it have heard) or T
-- (they have been told). outcome is S, F (an item has not succeeded) or K (skipped, the
-- reason says why), and edges are the outcomes of the runs before it: "a@S;b@K". A "!"
-- behind the field of a timed run says that an item has not succeeded. The field "down"
-- names the jobs that depend on this one.
local function read_dependent(text)
  local state, ms, outcome, edges, reason =
    string.match(text or '', '^([WOET])|(%d+)|([SFK]?)|([^|]*)|([^|]*)$')
  if not state then return nil end
  return {state = state, ms = tonumber(ms), outcome = outcome, edges = edges, reason = reason}
end

-- enter notes that a run comes into a state.
local function enter(k, run, r, state)
  r.state, r.ms = state, NOW
  call('HSET', k.d, run, table.concat({state, num(NOW), r.outcome, r.edges, r.reason}, '|'))
end

-- edges_of reads "a@S;b@K", or "a@S,b@A" as a job says what it depends on.
local function edges_of(text)
  local edges = {}
  for name, letter in string.gmatch(text or '', '([^@,;]+)@(%a)') do edges[name] = letter end
  return edges
end

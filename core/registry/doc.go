// Package registry is the registry center of a namespace on Redis: sessions and
// the leader, job definitions, assignments of sharding items, the marks of
// running items with their fencing tokens, the change feed and desired state.
//
// Every write is one of the Lua scripts in scripts/, which are atomic and judge
// by the server's clock. Nothing outside this package knows a key or a command;
// keys.go lists the keys. The same scripts run on a real Redis and on the
// embedded server of core/registry/embedded.
//
// # Promises
//
// An item is in at most one running mark, so no two nodes run it at once as
// long as jobs stop when their lease ends. An instant is decided once for each
// item: it runs, is held and caught up once (misfire), is reported as held
// (misfire off), or belongs to a former owner's decision (floors). Epochs,
// generations, fences and versions are hybrid-logical: the larger of the last
// one plus one and the server's clock in microseconds, so they keep rising over
// a registry that came back empty.
//
// # Unknown outcomes
//
// A call that fails may have been carried out. All scripts may be repeated:
// Begin and Register give the same answer to the same request id, Complete of
// an ended item is OK, PutJobs of a stored definition is Unchanged, and
// CommitAssignments of a replaced generation is a conflict after which the
// caller reads again. Normal firings of one job are begun in order: while one is
// unanswered, the next waits.
//
// A [Center] is a whole namespace, cut into [Partition] values, each a hash slot;
// one is enough unless Redis is a Cluster. Neither keeps state between calls, and
// both are safe for concurrent use.
package registry

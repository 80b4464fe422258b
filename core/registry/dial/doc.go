// Package dial reaches the Redis of a registry center, in whatever shape it
// runs: one server, a master that Sentinels name, or a Cluster.
//
// [Open] first asks the servers plainly what they are and only then makes the
// clients, so that an error says what was tried, what came back and what to do
// about it. It waits for what may pass by itself, such as a server that is
// starting, and ends at once for what an operator must change, such as a
// password. No error and no text of this package holds a password.
//
// A [Connection] has two clients with pools of their own: renewals of sessions
// go by one of them and never wait for a connection that bulk work holds. Both
// talk to masters only, so each reads what it and others have written.
package dial

package registry

import (
	"strconv"
	"strings"
)

// schema is the number of the layout below. Nodes of another one are refused.
const schema = 4

// keyspace names the keys of one partition. All share one hash tag, so that one
// script can see them together.
//
// Of the partition, in the order in which scripts get them:
//
//	meta    HASH   schema, P (partitions), inc (incarnation), hlc (last epoch or
//	               term), ver (feed version), notBefore (end of quarantine, ms),
//	               ttl, grace (the longest of all nodes, ms), primary (run id of the server)
//	lease   ZSET   node -> end of its lease, ms
//	sess    HASH   node -> epoch|nonce
//	info    HASH   node -> JSON
//	leader  HASH   n (node), e (epoch), term, dl (end of its lead, ms)
//	dead    HASH   node:epoch -> ms|g or ms|d; sessions that ended and are not buried,
//	               and the last instant they fire (g) or were known to live (d: died)
//	jobs    HASH   job -> version of its definition
//	dirty   ZSET   job -> feed version since which it needs a look at its assignment
//	feed    STREAM <version>-0: prev, kind, node, job (comma list), gen (comma list)
//	stop    HASH   node -> last instant that it fires, ms; nodes that drain
//	off     HASH   server -> D,by,ms; servers that are disabled for all jobs
//	runs    ZSET   job -> ms; jobs with runs that other jobs wait for, or that wait for those
//
// Of a job:
//
//	j:<job>   HASH   cfg, cver, upd (ms), n, mon, mis, fo, dis (flags of the definition);
//	                 gen, tok (last generation or fence), x (marks outside the present
//	                 generation), from (ms), an (items assigned), fl (floor of items never
//	                 assigned, ms), st (E or D), dn (disabled items), nd (number of servers
//	                 it is disabled on), ep (last epoch begun when it was assigned), lo
//	                 (items whose owner died: ranges|node;…), lg (last generation that took
//	                 items from living owners), pg (the last such one whose hand-over is
//	                 over), nf (from when on an item that comes back is fired, ms), sd
//	                 (nodes that drained when it was assigned, comma list), gr (1: runs are
//	                 gathered, see g), how (what its strategy is like: E asked after every
//	                 run, B broadcasts, else empty), up
//	                 (what it depends on: job@S, @F or @A, comma list), ds (jobs that depend
//	                 on it, comma list; absent if there are none)
//	a:<job>   HASH   node -> ranges@floor;…  The empty node holds items without owner
//	r:<job>   HASH   node -> fence|epoch|gen|kind|T-or-id|req|items;…  running marks
//	hw:<job>  HASH   node -> T|req|held|coalesced|epoch.n; the last instant it decided,
//	                 and the number of its last request that was no normal firing
//	m:<job>   HASH   item -> latest missed instant, ms
//	f:<job>   HASH   item -> T-or-id|kind|fence|node|epoch; waits for failover
//	q:<job>   HASH   item -> manual trigger id
//	st:<job>  HASH   item:<i> or node:<server> -> D,by,ms
//	cp:<job>  HASH   item -> fence|checkpoint
//	t:<job>   HASH   manual trigger id -> at|ended|mode|by|accepted|refused|left|ends|has|
//	                 parameter: when it came and ended (ms), how, by whom, its items, those
//	                 that have not ended and how the others did; at most a thousand, and
//	                 those that ended for about an hour
//	g:<job>   HASH   instant, ms, or trigger id -> how far a run is whose listeners are called
//	                 once; see scripts/gather.lua
//	d:<job>   HASH   instant, ms, or trigger id -> how far a run is on whose end other jobs
//	                 wait, or that waits for theirs; down (as ds); see scripts/depend.lua
//
// The channel ch carries "prev version kind jobs generations" of each feed entry.
type keyspace struct {
	prefix string
	shared [12]string
}

func newKeyspace(tag string) keyspace {
	k := keyspace{prefix: "ej:{" + tag + "}:"}
	k.shared = [...]string{
		k.meta(), k.lease(), k.sess(), k.info(), k.leader(), k.dead(), k.jobs(), k.dirty(), k.feed(),
		k.stop(), k.off(), k.runs(),
	}
	return k
}

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// hashTags are the hash tags of the partitions of a namespace: for each the
// namespace and the smallest number whose slot is in the partition's equal share
// of all slots, so that they are spread evenly over the shards without a table.
func hashTags(namespace string, partitions int) []string {
	tags := make([]string, partitions)
	for n, left := 0, partitions; left > 0; n++ {
		tag := namespace + "." + strconv.Itoa(n)
		if i := slotOf(tag) * partitions / slots; tags[i] == "" {
			tags[i] = tag
			left--
		}
	}
	return tags
}

// slotOf is the hash slot of a hash tag: CRC-16/XMODEM modulo the slots, as the
// Redis Cluster specification has it.
func slotOf(tag string) int {
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}

func (k keyspace) meta() string    { return k.prefix + "meta" }
func (k keyspace) lease() string   { return k.prefix + "lease" }
func (k keyspace) sess() string    { return k.prefix + "sess" }
func (k keyspace) info() string    { return k.prefix + "info" }
func (k keyspace) leader() string  { return k.prefix + "leader" }
func (k keyspace) dead() string    { return k.prefix + "dead" }
func (k keyspace) jobs() string    { return k.prefix + "jobs" }
func (k keyspace) dirty() string   { return k.prefix + "dirty" }
func (k keyspace) feed() string    { return k.prefix + "feed" }
func (k keyspace) stop() string    { return k.prefix + "stop" }
func (k keyspace) off() string     { return k.prefix + "off" }
func (k keyspace) runs() string    { return k.prefix + "runs" }
func (k keyspace) channel() string { return k.prefix + "ch" }

func (k keyspace) job(name string) string         { return k.prefix + "j:" + name }
func (k keyspace) assignments(name string) string { return k.prefix + "a:" + name }
func (k keyspace) marks(name string) string       { return k.prefix + "r:" + name }
func (k keyspace) missed(name string) string      { return k.prefix + "m:" + name }
func (k keyspace) failovers(name string) string   { return k.prefix + "f:" + name }
func (k keyspace) queued(name string) string      { return k.prefix + "q:" + name }
func (k keyspace) triggers(name string) string    { return k.prefix + "t:" + name }
func (k keyspace) dependents(name string) string  { return k.prefix + "d:" + name }
func (k keyspace) states(name string) string      { return k.prefix + "st:" + name }

// with is the KEYS of a script over jobs.
func (k keyspace) with(jobs ...string) []string {
	return k.list(jobs, "j:", "a:", "r:", "hw:", "m:", "f:", "q:", "st:", "cp:", "t:", "g:", "d:")
}

// toBegin is the KEYS of begin, and toComplete that of complete, of runs that are neither
// gathered nor manual.
func (k keyspace) toBegin(jobs ...string) []string {
	return k.list(jobs, "j:", "a:", "r:", "hw:", "m:", "f:", "st:", "d:")
}

func (k keyspace) toComplete(jobs ...string) []string {
	return k.list(jobs, "j:", "r:", "m:", "f:", "q:", "cp:", "d:")
}

// list is the keys of the partition, then those of each job that have these prefixes. The
// keys of a job are parts of one string: a call may take hundreds.
func (k keyspace) list(jobs []string, prefixes ...string) []string {
	keys := make([]string, 0, len(k.shared)+len(prefixes)*len(jobs))
	keys = append(keys, k.shared[:]...)
	for _, name := range jobs {
		var text strings.Builder
		text.Grow(len(prefixes) * (len(k.prefix) + len("st:") + len(name)))
		for _, prefix := range prefixes {
			begin := text.Len()
			text.WriteString(k.prefix)
			text.WriteString(prefix)
			text.WriteString(name)
			keys = append(keys, text.String()[begin:])
		}
	}
	return keys
}

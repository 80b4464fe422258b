package sim_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
)

// watch writes down what the scripts of the registry answered. The server's lock is
// held, so what is read here is as the script has left it.
func (l *life) watch(c call) {
	h := &l.history
	h.mu.Lock()
	defer h.mu.Unlock()
	switch c.script {
	case "begin", "claim", "complete", "renew", "state", "put":
	default:
		h.noted = append(h.noted, noted{c.at, fmt.Sprintf("script %s%v: %v", c.script, c.args, c.reply)})
	}
	switch c.script {
	case "begin":
		l.watchBegin(c)
	case "claim":
		l.watchClaim(c)
	case "complete":
		if !isOK(c.reply) {
			return
		}
		for args := c.args[3:]; len(args) >= 5; args = args[5:] {
			h.ends = append(h.ends, end{c.at, c.args[0], args[0], integer(args[1]), itemsOf(args[2]), args[3]})
		}
	case "arrive":
		l.watchArrival(c)
	case "register":
		if isOK(c.reply) {
			l.leased(c, text(c.reply[1]), c.args[2])
		}
	case "renew":
		if isOK(c.reply) {
			l.leased(c, c.args[1], c.args[2])
		}
	case "commit", "reconcile":
		if !isOK(c.reply) {
			return // what is there is as the server has it back
		}
		for i := partKeys; i < len(c.keys); i += jobKeys {
			l.watchAssignment(c.at, c.keys[i])
		}
		if c.script == "reconcile" {
			for _, r := range c.reply[1:] {
				h.repairs = append(h.repairs, fmt.Sprintf("%.3f %v", c.at.Seconds(), r))
			}
		}
	case "reap":
		if isOK(c.reply) {
			for _, dead := range c.reply[3:] {
				node, epoch, _ := strings.Cut(text(dead), ":")
				h.evicted = append(h.evicted, evicted{c.at, node, epoch})
			}
		}
	case "drain":
		if isOK(c.reply) {
			for i, name := range c.args[6:] {
				for group := range strings.SplitSeq(text(c.reply[1+i]), ";") {
					if items, at, ok := strings.Cut(group, "@"); ok {
						h.lost = append(h.lost, lost{c.at, name, itemsOf(items), runOf(at)})
					}
				}
				l.watchOrphans(c.at, name, c.keys[partKeys+jobKeys*i+5])
			}
		}
	}
}

// A script is given the keys of the partition, then those of each job. Begin and complete
// may get less of a job.
const partKeys, jobKeys = 12, 12

// watchOrphans notes which items wait for a failover.
func (l *life) watchOrphans(at time.Duration, job, key string) {
	for field, value := range hashOf(l.server.redis, key) {
		parts := strings.Split(value, "|")
		o := orphan{at, place{job, int(integer(field))}, integer(parts[2]), runOf(parts[0])}
		isKnown := slices.ContainsFunc(l.history.orphans, func(k orphan) bool { return k.place == o.place && k.fence == o.fence })
		if !isKnown {
			l.history.orphans = append(l.history.orphans, o)
		}
	}
}

func (l *life) watchClaim(c call) {
	if !isOK(c.reply) {
		return
	}
	session, _, _ := strings.Cut(l.server.redis.HGet(c.keys[2], c.args[0]), "|")
	for i, args := 0, c.args[3:]; len(args) >= 4; i, args = i+1, args[4:] {
		reply, ok := c.reply[2+i].([]any)
		if !ok || len(reply) < 6 || !isOK(reply) {
			continue
		}
		g := grant{
			at: c.at, node: c.args[0], epoch: c.args[1], kind: "F", job: args[0], code: registry.CodeOK, hasEpoch: session,
			fence: integer(text(reply[1])), items: itemsOf(text(reply[2])), instant: integer(text(reply[3])), run: text(reply[4]),
		}
		t := token{g.job, g.fence}
		g.repeated = l.fences[t]
		l.fences[t] = true
		l.history.grants = append(l.history.grants, g)
	}
}

// leased notes how long a session goes on.
func (l *life) leased(c call, epoch, ttl string) {
	until := c.at + time.Duration(integer(ttl))*time.Millisecond
	l.history.leases = append(l.history.leases, lease{c.at, until, c.args[0], epoch})
}

func (l *life) watchBegin(c call) {
	if !isOK(c.reply) {
		return
	}
	node, epoch := c.args[0], c.args[1]
	redis := l.server.redis
	session, _, _ := strings.Cut(redis.HGet(c.keys[2], node), "|")
	deadline, err := redis.ZScore(c.keys[1], node)
	if err != nil {
		deadline = 0
	}
	left := time.Duration(int64(deadline)-l.server.now().UnixMilli()) * time.Millisecond
	beginKeys := (len(c.keys) - partKeys) / int(integer(c.args[2])) // of a job, which vary
	for i, args := 0, c.args[3:]; len(args) >= 6; i, args = i+1, args[6:] {
		reply, ok := c.reply[2+i].([]any)
		if !ok || len(reply) == 0 {
			continue
		}
		g := grant{
			at: c.at, node: node, epoch: epoch, gen: args[0], kind: args[1], job: args[4], code: registry.Code(integer(text(reply[0]))),
			hasEpoch: session, lease: left, hasGen: redis.HGet(c.keys[partKeys+beginKeys*i], "gen"),
		}
		if g.kind == "N" {
			g.instant = integer(args[2])
		}
		if g.code == registry.CodeOK || g.code == registry.CodeNone || g.code == registry.CodeOver {
			g.fence, g.items, g.held = integer(text(reply[1])), itemsOf(text(reply[2])), itemsOf(text(reply[3]))
			for group := range strings.SplitSeq(text(reply[4]), ";") {
				if items, at, ok := strings.Cut(group, "@"); ok {
					g.coalesced = append(g.coalesced, registry.ItemsAt{Items: itemsOf(items), At: time.UnixMilli(integer(at))})
				}
			}
			if g.kind == "M" {
				g.instant = integer(text(reply[5]))
			}
			if g.kind == "O" && len(reply) > 7 {
				g.run = text(reply[7])
			}
		}
		if g.fence != 0 {
			t := token{g.job, g.fence}
			g.repeated = l.fences[t]
			l.fences[t] = true
		}
		l.history.grants = append(l.history.grants, g)
	}
}

// watchAssignment notes the assignment of a job if it is another than before.
func (l *life) watchAssignment(at time.Duration, key string) {
	redis := l.server.redis
	_, job, _ := strings.Cut(key, "}:j:")
	gen := redis.HGet(key, "gen")
	if gen == "" || gen == "0" || l.generations[job] == gen {
		return
	}
	l.generations[job] = gen
	owned := hashOf(redis, strings.Replace(key, "}:j:", "}:a:", 1))
	l.history.spreads = append(l.history.spreads, spread{at, job, gen, int(integer(redis.HGet(key, "an"))), owned})
}

// ownedItems are the items of what an owner has, which is ranges@floor;…
func ownedItems(value string) []int {
	var items []int
	for group := range strings.SplitSeq(value, ";") {
		ranges, _, _ := strings.Cut(group, "@")
		items = append(items, itemsOf(ranges).Slice()...)
	}
	return items
}

func isOK(reply []any) bool { return len(reply) > 0 && text(reply[0]) == "1" }

func text(v any) string { return fmt.Sprint(v) }

func integer(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%q is no number", s))
	}
	return n
}

func itemsOf(text string) registry.Items {
	items, err := registry.ParseItems(text)
	if err != nil {
		panic(err)
	}
	return items
}

// runOf is the run id of an instant in ms, or of a trigger.
func runOf(at string) string {
	if ms, err := strconv.ParseInt(at, 10, 64); err == nil {
		return registry.FormatRunID(time.UnixMilli(ms))
	}
	return at
}

package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Instance is what a node says of itself when it registers.
type Instance struct {
	// ID is unique among the live nodes of the namespace, at most 200 bytes
	// without spaces and "|;,".
	ID string `json:"id"`
	// IP is where it is reached by others of its network.
	IP      string            `json:"ip"`
	Host    string            `json:"host"`
	PID     int               `json:"pid"`
	Labels  map[string]string `json:"labels,omitempty"`
	Version string            `json:"version"`
	// Jobs are the jobs that this node can run.
	Jobs []string `json:"jobs"`
	// Nonce tells a repeated registration from one of another process with the
	// same ID. A caller that repeats a Register whose outcome it does not know
	// sends the same one; empty, a new one is made.
	Nonce string `json:"-"`
}

// describe is the instance as it is stored.
func (i *Instance) describe() ([]byte, error) {
	for _, name := range i.Jobs {
		if err := checkName(name); err != nil {
			return nil, err
		}
	}
	info, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	if len(info) > maxInfo {
		return nil, fmt.Errorf("its description of %d bytes is longer than %d", len(info), maxInfo)
	}
	return info, nil
}

// Host replaces what the instance of the lease says of itself. Jobs that it hosts
// newly or no longer become dirty. One call of an instance follows the other.
func (p *Partition) Host(ctx context.Context, l Lease, i Instance) error {
	i.ID = l.Instance
	info, err := i.describe()
	if err != nil {
		return fmt.Errorf("describing %q: %w", l.Instance, err)
	}
	stored, err := p.config.Sessions.HGet(ctx, p.keys.info(), l.Instance).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("describing %q: %w", l.Instance, err)
	}
	var before Instance
	if stored != "" {
		if err := json.Unmarshal([]byte(stored), &before); err != nil {
			return fmt.Errorf("describing %q: reading what it said: %w", l.Instance, err)
		}
	}
	args := []any{l.Instance, l.Epoch, info}
	for _, name := range difference(before.Jobs, i.Jobs) {
		args = append(args, name)
	}
	if _, err := p.callSession(ctx, p.scripts.host, args...); err != nil {
		return fmt.Errorf("describing %q: %w", l.Instance, err)
	}
	return nil
}

// difference is what is in one of two lists only, sorted.
func difference(a, b []string) []string {
	in := make(map[string]int, len(a)+len(b))
	for _, name := range a {
		in[name] |= 1
	}
	for _, name := range b {
		in[name] |= 2
	}
	maps.DeleteFunc(in, func(_ string, where int) bool { return where == 3 })
	return slices.Sorted(maps.Keys(in))
}

// InstanceState is a registered node as the registry center sees it.
type InstanceState struct {
	Instance Instance
	Epoch    int64
	// Deadline is the end of its lease by the server's clock.
	Deadline time.Time
	// Live says that the lease had not ended when it was read.
	Live bool
	// Leader says that it leads.
	Leader bool
	// Draining says that it departs: it gets no items and fires no instant after
	// Stopped.
	Draining bool
	Stopped  time.Time
	// Disabled says that its server is disabled for all jobs.
	Disabled bool
}

// Incarnation is the identity of the partition's data, empty if there is none:
// then nothing that is missing is a decision of anybody.
func (p *Partition) Incarnation(ctx context.Context) (string, error) {
	inc, err := p.config.Client.HGet(ctx, p.keys.meta(), "inc").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("reading the incarnation: %w", err)
	}
	return inc, nil
}

// Instances are the registered nodes, by id. One whose lease has ended is among
// them until it is reaped.
func (p *Partition) Instances(ctx context.Context) ([]InstanceState, error) {
	var sessions, infos, leader, stops, off *redis.MapStringStringCmd
	var leases *redis.ZSliceCmd
	var now func() time.Time
	_, err := p.config.Client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		sessions = pipe.HGetAll(ctx, p.keys.sess())
		infos = pipe.HGetAll(ctx, p.keys.info())
		leases = pipe.ZRangeWithScores(ctx, p.keys.lease(), 0, -1)
		leader = pipe.HGetAll(ctx, p.keys.leader())
		stops = pipe.HGetAll(ctx, p.keys.stop())
		off = pipe.HGetAll(ctx, p.keys.off())
		now = p.clock(ctx, pipe)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the instances: %w", err)
	}
	deadlines := make(map[string]time.Time, len(leases.Val()))
	for _, z := range leases.Val() {
		if id, ok := z.Member.(string); ok && z.Score > 0 && z.Score <= maxNumber {
			deadlines[id] = instantOf(int64(z.Score))
		}
	}
	states := make([]InstanceState, 0, len(sessions.Val()))
	for id, session := range sessions.Val() {
		epoch, _, _ := strings.Cut(session, "|")
		s := InstanceState{Epoch: parseNumber(epoch), Deadline: deadlines[id]}
		if s.Epoch < 0 {
			return nil, fmt.Errorf("reading the instances: session of %q is %q", id, clip(session))
		}
		if err := json.Unmarshal([]byte(infos.Val()[id]), &s.Instance); err != nil {
			return nil, fmt.Errorf("reading the instances: description of %q: %w", id, err)
		}
		s.Instance.ID = id
		if stop, ok := stops.Val()[id]; ok {
			r := &reply{source: "the last instant of " + strconv.Quote(id), values: []any{stop}}
			s.Draining, s.Stopped = true, r.instant()
			if err := r.end(); err != nil {
				return nil, fmt.Errorf("reading the instances: %w", err)
			}
		}
		_, s.Disabled = off.Val()[ServerName(id)]
		s.Live = !s.Deadline.Before(now())
		s.Leader = leader.Val()["n"] == id && leader.Val()["e"] == epoch
		states = append(states, s)
	}
	slices.SortFunc(states, func(a, b InstanceState) int { return cmp.Compare(a.Instance.ID, b.Instance.ID) })
	return states, nil
}

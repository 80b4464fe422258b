package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	feedPage = 500
	// feedPages bounds one call of Changes; the stream keeps about 10,000 entries.
	feedPages = 24
)

// ChangeKind says what changed.
type ChangeKind string

// The kinds of a Change.
const (
	// ChangeJoin and ChangeLeave: an instance came or went.
	ChangeJoin  ChangeKind = "join"
	ChangeLeave ChangeKind = "leave"
	// ChangeDepart: an instance drains and gets no items any more.
	ChangeDepart ChangeKind = "depart"
	// ChangeHost: an instance says something else of itself, such as its jobs.
	ChangeHost ChangeKind = "host"
	// ChangeJob: a definition was created or updated.
	ChangeJob ChangeKind = "job"
	// ChangeRemoved: a job was removed.
	ChangeRemoved ChangeKind = "removed"
	// ChangeAssigned: a job has a new assignment of the given generation.
	ChangeAssigned ChangeKind = "assigned"
	// ChangeState: the desired state of a job changed, or with no job that of a
	// server, which Instance names.
	ChangeState ChangeKind = "state"
	// ChangeRepair: what is stored of a job was mended, its assignment needs a look.
	ChangeRepair ChangeKind = "repair"
	// ChangeQuarantine: the partition waits before it lets items run, see
	// Renewal.NotBefore.
	ChangeQuarantine ChangeKind = "quarantine"
	// ChangeReleased: items of a former owner ended; their owner may begin what it
	// held.
	ChangeReleased ChangeKind = "released"
	// ChangeRan: a run has ended, after which the job's assignment needs a look.
	ChangeRan ChangeKind = "ran"
	// ChangeEnded: a run may have ended on which other jobs wait, or was skipped.
	ChangeEnded ChangeKind = "ended"
	// ChangeTrigger: items wait for a manual run.
	ChangeTrigger ChangeKind = "trigger"
	// ChangeTriggered: the last item of a manual trigger has ended.
	ChangeTriggered ChangeKind = "triggered"
	// ChangeDrain: marks of a dead session were taken away.
	ChangeDrain ChangeKind = "drain"
	// ChangeBefore and ChangeAfter: nobody waits any more for the listeners of a
	// run that are called once, before or after it.
	ChangeBefore ChangeKind = "before"
	ChangeAfter  ChangeKind = "after"
	// ChangeGathered: who waits for those may ask for its turn.
	ChangeGathered ChangeKind = "gathered"
)

// Change is one step of the namespace. A step that concerns many jobs is as many
// changes of one version.
type Change struct {
	Version int64
	Kind    ChangeKind
	// Job and Instance are those concerned, empty if there is none.
	Job      string
	Instance string
	// Run is Gathering.Run of the run concerned, empty if there is none.
	Run string
	// Generation is the job's at that time, zero if the kind has none.
	Generation int64
}

// Changes are the changes after version since, in order, and the version up to
// which they lead. If complete is false they have a gap, because the feed was
// cut or the data is another: the caller reads everything it needs and goes on
// from latest.
func (p *Partition) Changes(ctx context.Context, since int64) (changes []Change, latest int64, complete bool, err error) {
	var version *redis.StringCmd
	var page *redis.XMessageSliceCmd
	at := since
	for range feedPages {
		_, err := p.config.Client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			version = pipe.HGet(ctx, p.keys.meta(), "ver")
			page = pipe.XRangeN(ctx, p.keys.feed(), "("+number(at)+"-0", "+", feedPage)
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, 0, false, fmt.Errorf("reading the feed: %w", err)
		}
		if latest, err = feedVersion(version); err != nil {
			return nil, 0, false, fmt.Errorf("reading the feed: %w", err)
		}
		for _, m := range page.Val() {
			step, prev, err := readChange(m)
			if err != nil {
				return nil, 0, false, fmt.Errorf("reading the feed: %w", err)
			}
			if prev != at {
				return nil, latest, false, nil
			}
			changes = append(changes, step...)
			at = step[0].Version
		}
		if len(page.Val()) < feedPage {
			// An entry written between the two reads is newer than latest; a
			// version older than since means that the data is another.
			if at < latest || latest < since {
				return nil, latest, false, nil
			}
			return changes, at, true, nil
		}
	}
	return nil, latest, false, nil
}

func feedVersion(cmd *redis.StringCmd) (int64, error) {
	if errors.Is(cmd.Err(), redis.Nil) {
		return 0, nil
	}
	r := &reply{source: "the feed's version", values: []any{cmd.Val()}}
	v := r.number()
	return v, r.end()
}

// readChange reads an entry as its changes, at least one, and the version before
// it.
func readChange(m redis.XMessage) ([]Change, int64, error) {
	id, _ := strings.CutSuffix(m.ID, "-0")
	r := &reply{source: "feed entry " + clip(m.ID), values: []any{
		id, m.Values["prev"], m.Values["kind"], m.Values["node"], m.Values["job"], m.Values["gen"],
	}}
	base, prev := Change{Version: r.number()}, r.number()
	base.Kind, base.Instance = ChangeKind(r.text()), r.text()
	if slices.Contains([]ChangeKind{ChangeBefore, ChangeAfter, ChangeGathered}, base.Kind) {
		base.Run, base.Instance = base.Instance, ""
	}
	names, gens := r.text(), r.text()
	if err := r.end(); err != nil {
		return nil, 0, err
	}
	if names == "" {
		return []Change{base}, prev, nil
	}
	jobs, numbers := strings.Split(names, ","), strings.Split(gens, ",")
	if gens != "" && len(numbers) != len(jobs) {
		return nil, 0, fmt.Errorf("feed entry %s has %d jobs and %d generations", clip(m.ID), len(jobs), len(numbers))
	}
	changes := make([]Change, len(jobs))
	for i, name := range jobs {
		changes[i] = base
		changes[i].Job = name
		if err := checkName(name); err != nil {
			return nil, 0, fmt.Errorf("feed entry %s: %w", clip(m.ID), err)
		}
		if gens != "" {
			if changes[i].Generation = parseNumber(numbers[i]); changes[i].Generation < 0 {
				return nil, 0, fmt.Errorf("feed entry %s: generation %q is no number", clip(m.ID), clip(numbers[i]))
			}
		}
	}
	return changes, prev, nil
}

// Doorbell rings when the feed grows. It is a hint that saves waiting: rings may
// be lost, and Renewal.Version is the truth.
type Doorbell struct {
	subscription *redis.PubSub
	ring         chan struct{}
	done         sync.WaitGroup
}

// Watch subscribes to the doorbell. The caller closes it. Unless heard is nil, it is
// told what a ring says of manual triggers, whose owners and askers need not wait
// until the feed is read; it comes from a goroutine of the doorbell, before the
// ring, and must be quick.
func (p *Partition) Watch(ctx context.Context, heard func(Change)) (*Doorbell, error) {
	// A subscription cannot be closed while it connects anew. On the client that
	// never tries twice that is short, and a session's end does not wait for it.
	subscribe := p.config.Sessions.Subscribe
	if p.config.Cluster {
		subscribe = p.config.Sessions.SSubscribe
	}
	s := subscribe(ctx, p.keys.channel())
	if _, err := s.Receive(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribing to the feed: %w", err), s.Close())
	}
	d := &Doorbell{subscription: s, ring: make(chan struct{}, 1)}
	messages := s.Channel()
	d.done.Go(func() {
		for message := range messages {
			if heard != nil {
				for _, c := range readRing(message.Payload) {
					heard(c)
				}
			}
			select {
			case d.ring <- struct{}{}:
			default: // one unheard ring says it all
			}
		}
	})
	return d, nil
}

// maxRing bounds the text of a ring that is read, in bytes.
const maxRing = 16 << 10

// readRing reads "prev ver kind jobs gens", as lib.lua rings it, if it is of a manual
// trigger. What is not understood says nothing: the feed does.
func readRing(text string) []Change {
	fields := strings.SplitN(text, " ", 5)
	if len(text) > maxRing || len(fields) != 5 {
		return nil
	}
	version, kind := parseNumber(fields[1]), ChangeKind(fields[2])
	if version <= 0 || kind != ChangeTrigger && kind != ChangeTriggered {
		return nil
	}
	var changes []Change
	for name := range strings.SplitSeq(fields[3], ",") {
		if checkName(name) != nil {
			return nil
		}
		changes = append(changes, Change{Version: version, Kind: kind, Job: name})
	}
	return changes
}

// C receives a value after the feed has grown; rings that were not heard in time
// are one.
func (d *Doorbell) C() <-chan struct{} { return d.ring }

// Close ends the subscription.
func (d *Doorbell) Close() error {
	err := d.subscription.Close()
	d.done.Wait()
	if err != nil {
		return fmt.Errorf("closing the subscription to the feed: %w", err)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
)

const (
	markedJobs = 500
	// batch is how many firings one script call decides.
	batch = 50
	// marking is how long pairs are counted.
	marking = 3 * time.Second
)

// marker begins and completes firings of jobs that one instance owns.
type marker struct {
	center      *registry.Partition
	lease       registry.Lease
	names       []string
	generations map[string]int64
}

// measureRegistry measures the pairs of begin and complete that the embedded
// registry does, one at a time and in batches.
func measureRegistry(ctx context.Context, s *settings) (results []result, err error) {
	server, err := embedded.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	m, err := newMarker(ctx, server)
	if err != nil {
		return nil, err
	}
	if err := s.hot(); err != nil {
		return nil, err
	}
	// Each turn is one more millisecond, so that no instant is decided twice, or before it
	// is due.
	instant := time.Now().Truncate(time.Millisecond)
	for _, size := range []int{1, batch} {
		took := newSamples(1_000_000)
		pairs := 0
		begin := time.Now()
		for time.Since(begin) < marking {
			instant = instant.Add(time.Millisecond)
			for at := 0; at < markedJobs && time.Since(begin) < marking; at += size {
				one := time.Now()
				if err := m.pair(ctx, instant, m.names[at:at+size]); err != nil {
					return nil, err
				}
				took.add(time.Since(one))
				pairs += size
			}
		}
		rate := float64(pairs) / time.Since(begin).Seconds()
		sorted := took.sorted()
		row := "begin + complete, one by one"
		if size > 1 {
			row = fmt.Sprintf("begin + complete, %d at once", size)
		}
		results = append(results, result{Group: "embedded registry", Row: row, Who: whoOurs, Values: []value{
			known("pairs/s", "", rate),
			known("call pair p50", "ms", millis(quantile(sorted, 0.5))),
			known("call pair p99", "ms", millis(quantile(sorted, 0.99))),
		}})
	}
	return results, nil
}

func newMarker(ctx context.Context, server *embedded.Server) (*marker, error) {
	m := &marker{generations: make(map[string]int64, markedJobs)}
	center, err := registry.Open(ctx, registry.Config{
		Client: server.Client(), Namespace: "bench", SessionTimeout: time.Hour, Embedded: true,
	})
	if err != nil {
		return nil, err
	}
	m.center = center.Partitions()[0]
	definitions := make([]registry.JobDefinition, markedJobs)
	for i := range definitions {
		definitions[i] = registry.JobDefinition{
			Name: fmt.Sprintf("job-%06d", i), Config: []byte("{}"), Items: 1, Monitored: true, Misfire: true,
		}
		m.names = append(m.names, definitions[i].Name)
	}
	const instance = "10.0.0.1@-@1"
	registration, err := m.center.Register(ctx, registry.Instance{ID: instance, Host: "bench", PID: 1, Version: "1", Jobs: m.names})
	if err != nil {
		return nil, err
	}
	m.lease = registration.Lease
	renewal, err := m.center.Renew(ctx, m.lease, true)
	if err != nil {
		return nil, err
	}
	if _, err := m.center.PutJobs(ctx, definitions); err != nil {
		return nil, err
	}
	states, err := m.center.Jobs(ctx, m.names...)
	if err != nil {
		return nil, err
	}
	plans := make([]registry.Plan, len(states))
	for i, s := range states {
		plans[i] = registry.Plan{
			Job: s.Definition.Name, ExpectGeneration: s.Generation, ExpectVersion: s.Version, Items: 1,
			Owners: map[string]registry.Items{instance: registry.NewItems(0)},
		}
	}
	committed, err := m.center.CommitAssignments(ctx, registry.Leadership{Lease: m.lease, Term: renewal.Term}, plans)
	if err != nil {
		return nil, err
	}
	for _, c := range committed {
		m.generations[c.Job] = c.Generation
	}
	return m, nil
}

// pair begins a firing of each job and completes it.
func (m *marker) pair(ctx context.Context, instant time.Time, names []string) error {
	begins := make([]registry.BeginRequest, len(names))
	for i, name := range names {
		begins[i] = registry.BeginRequest{
			Lease: m.lease, Job: name, Generation: m.generations[name], Kind: registry.KindNormal, Instant: instant,
		}
	}
	begun, err := m.center.BeginAll(ctx, begins)
	if err != nil {
		return err
	}
	completes := make([]registry.CompleteRequest, len(begun))
	for i, b := range begun {
		if b.Code != registry.CodeOK {
			return fmt.Errorf("beginning job %s at %v: %v", names[i], instant, b.Code)
		}
		completes[i] = registry.CompleteRequest{
			Lease: m.lease, Job: names[i], Fence: b.Fence, Items: b.Items, Outcome: registry.OutcomeSuccess,
		}
	}
	_, err = m.center.CompleteAll(ctx, completes)
	return err
}

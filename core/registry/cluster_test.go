package registry

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// fleet is a node in all partitions of a namespace on a Redis Cluster. It leads.
type fleet struct {
	*Center
	t       *testing.T
	client  *redis.ClusterClient
	leaders []Leadership
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, client: redistest.StartCluster(t, 3).Client()}
	var err error
	f.Center, err = Open(t.Context(), Config{
		Client: f.client, Namespace: "test", SessionTimeout: time.Hour, Embedded: true, Partitions: 32, Cluster: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Partitions() {
		r, err := p.Register(t.Context(), Instance{ID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		renewal, err := p.Renew(t.Context(), r.Lease, true)
		if err != nil || !renewal.Leader {
			t.Fatalf("Renew in partition %d = %+v, %v, want the lead", p.Index(), renewal, err)
		}
		f.leaders = append(f.leaders, Leadership{Lease: r.Lease, Term: renewal.Term})
	}
	return f
}

// fire puts, assigns, begins and completes a job where it belongs.
func (f *fleet) fire(job string) error {
	ctx, p := f.t.Context(), f.Partition(job)
	l := f.leaders[p.Index()]
	put, err := p.PutJobs(ctx, []JobDefinition{definition(job, 3)})
	if err != nil {
		return err
	}
	committed, err := p.CommitAssignments(ctx, l, []Plan{{
		Job: job, ExpectGeneration: put[0].Generation, ExpectVersion: put[0].Version, Items: 3, Owners: map[string]Items{"a": AllItems(3)},
	}})
	if err != nil {
		return err
	}
	begun, err := p.Begin(ctx, BeginRequest{
		Lease: l.Lease, Job: job, Generation: committed[0].Generation, Kind: KindNormal, Instant: time.Now().Add(time.Second),
	})
	if err != nil {
		return err
	}
	if begun.Code != CodeOK || begun.Items.Len() != 3 {
		return fmt.Errorf("begun = %s with items %q, want ok with three", begun.Code, begun.Items)
	}
	done, err := p.Complete(ctx, CompleteRequest{Lease: l.Lease, Job: job, Fence: begun.Fence, Items: begun.Items, Outcome: OutcomeSuccess})
	if err != nil || done.Code != CodeOK {
		return fmt.Errorf("completed = %s, %w", done.Code, err)
	}
	return nil
}

func TestCluster(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	used := map[int]bool{}
	for i := range 150 {
		job := fmt.Sprintf("job-%d", i)
		used[f.Partition(job).Index()] = true
		if err := f.fire(job); err != nil {
			t.Fatalf("%s: %v", job, err)
		}
	}
	if len(used) != 32 {
		t.Errorf("150 jobs are in %d partitions, want 32", len(used))
	}
	jobs := 0
	for _, p := range f.Partitions() {
		names, err := p.JobNames(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		jobs += len(names)
	}
	if jobs != 150 {
		t.Errorf("all partitions have %d jobs, want 150", jobs)
	}
	// Thirds of the slots, and so about of the partitions.
	err := f.client.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
		keys, err := master.Keys(ctx, "ej:{test.*}:meta").Result()
		if len(keys) < 10 || len(keys) > 12 {
			t.Errorf("a master has %d partitions, want a third of 32", len(keys))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	// A master that was restarted knows no scripts.
	err = f.client.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
		return master.ScriptFlush(ctx).Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		if err := f.fire(fmt.Sprintf("again-%d", i)); err != nil {
			t.Fatalf("after SCRIPT FLUSH: %v", err)
		}
	}
}

func TestDoorbellOfACluster(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	job := "job"
	p := f.Partition(job)
	other := f.Partitions()[(p.Index()+1)%32]
	d, err := p.Watch(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	silent, err := other.Watch(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := f.fire(job); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.C():
	case <-time.After(30 * time.Second):
		t.Error("the doorbell of the partition does not ring")
	}
	select {
	case <-silent.C():
		t.Error("the doorbell of another partition rings")
	default:
	}
}

func TestClusterKnowsItsServers(t *testing.T) {
	t.Parallel()
	client := redistest.StartCluster(t, 3).Client()
	center, err := Open(t.Context(), Config{Client: client, Namespace: "test", SessionTimeout: time.Hour, Partitions: 8, Cluster: true})
	if err != nil {
		t.Fatal(err)
	}
	primaries := map[string]bool{}
	for _, p := range center.Partitions() {
		if _, err := p.Register(t.Context(), Instance{ID: "a"}); err != nil {
			t.Fatal(err)
		}
		primary, err := client.HGet(t.Context(), p.keys.meta(), "primary").Result()
		if err != nil {
			t.Fatal(err)
		}
		primaries[primary] = true
	}
	if len(primaries) != 3 {
		t.Errorf("8 partitions are on the servers %v, want three", primaries)
	}
}

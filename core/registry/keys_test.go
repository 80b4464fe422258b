package registry

import (
	"context"
	"testing"
	"time"
)

// The slots of two tags are those of the Redis Cluster specification and its
// reference implementation.
func TestSlotOf(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]int{"123456789": 0x31C3, "foo": 12182, "bar": 5061, "": 0} {
		if got := slotOf(tag); got != want {
			t.Errorf("slotOf(%q) = %d, want %d", tag, got, want)
		}
	}
}

func TestPartitionsAreSpreadOverSlots(t *testing.T) {
	t.Parallel()
	if got := hashTags("orders", 1); len(got) != 1 || got[0] != "orders.0" {
		t.Errorf("hashTags(orders, 1) = %v, want orders.0", got)
	}
	for _, partitions := range []int{2, 3, 32, maxPartitions} {
		share := slots / partitions
		for i, tag := range hashTags("orders", partitions) {
			slot := slotOf(tag)
			if first := i * slots / partitions; slot < first || slot > first+share {
				t.Errorf("hashTags(orders, %d)[%d] = %s in slot %d, want %d to %d", partitions, i, tag, slot, first, first+share)
			}
		}
	}
}

func TestJobsAreSpreadOverPartitions(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, on server) {
		b := setup(t, on)
		center, err := Open(t.Context(), Config{Client: b.client, Namespace: "wide", SessionTimeout: time.Second, Partitions: 4, Embedded: true})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]int{}
		for i := range 100 {
			name := "job-" + number(int64(i))
			p := center.Partition(name)
			if p != center.Partitions()[p.Index()] {
				t.Fatalf("Partition(%s) is not the one of its index %d", name, p.Index())
			}
			seen[p.Index()]++
			_ = must(b, func(ctx context.Context) ([]PutResult, error) {
				return p.PutJobs(ctx, []JobDefinition{definition(name, 1)})
			})
		}
		for i, p := range center.Partitions() {
			if names := must(b, p.JobNames); len(names) != seen[i] || len(names) < 10 {
				t.Errorf("partition %d has %d jobs, want %d", i, len(names), seen[i])
			}
		}
	})
}

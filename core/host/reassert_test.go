package host

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestANodeMarksAgainWhatItRuns takes the mark of a running item out of the registry,
// and gives the node one back that it has long ended: when a quarantine begins, the
// first is there again and the other is not.
func TestANodeMarksAgainWhatItRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(time.Minute, 2, true)
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(func(ctx context.Context, req spi.ExecuteRequest) error {
			if req.Context.ShardingItem == 1 {
				select {
				case <-time.After(40 * time.Second):
				case <-ctx.Done():
				}
			}
			return nil
		})}})
		n := f.join()
		client := f.server.Connect()
		defer func() { _ = client.Close() }() // nothing is left in it
		marks := func() string {
			value, err := client.HGet(t.Context(), "ej:{fleet.0}:r:"+c.Name, n.instance.ID).Result()
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
		instant := nextMultiple(time.Minute)
		sleepUntil(instant.Add(5 * time.Second))
		running := marks()
		fence, epoch, _ := strings.Cut(running, "|")
		epoch, _, _ = strings.Cut(epoch, "|")
		ended := fmt.Sprintf("%d|%s|0|N|%d|x|0", instant.Add(-time.Minute).UnixMicro(), epoch, instant.Add(-time.Minute).UnixMilli())
		if err := client.HSet(t.Context(), "ej:{fleet.0}:r:"+c.Name, n.instance.ID, ended).Err(); err != nil {
			t.Fatal(err)
		}
		n.members[0].quarantine(time.Now().Add(10 * time.Second))
		time.Sleep(time.Second)
		if got, want := marks(), fmt.Sprintf("%s|%s|0|N|%d||1", fence, epoch, instant.UnixMilli()); got != want {
			t.Errorf("marks %q, want %q after %q", got, want, ended)
		}
		sleepUntil(instant.Add(time.Minute + 30*time.Second))
		f.leaveAll()
		// It was marked until it ended, and both went on as ever.
		for item := range 2 {
			all := f.verdicts(c, item)
			for _, at := range []time.Time{instant, instant.Add(time.Minute)} {
				if len(all[at]) != 1 || !strings.HasPrefix(all[at][0], "started") {
					t.Errorf("item %d at %s: %q, want one start", item, registry.FormatRunID(at), all[at])
				}
			}
		}
	})
}

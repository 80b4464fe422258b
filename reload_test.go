package elasticjob_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestARunOutlivesTwoReloads lets an item run while the configuration is
// reloaded twice, the second time with its program on other terms.
func TestARunOutlivesTwoReloads(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "slow")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/slow").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	text := func(env, more string) string {
		return fmt.Sprintf("elasticjob:\n  plugins: [{process: %q, grants: {env: [%s]}}]\n  jobs:\n    slow: {elasticJobType: SLOW, every: 1s, shardingTotalCount: 1}\n%s", program, env, more)
	}
	node, log := start(t, load(t, text("A", "")))
	first := log.waitFor(t, "item started", "slow", 1)[0]["run"]
	for i, next := range []string{
		text("A", "    other: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1}\n"),
		text("B", "    other: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1}\n"),
	} {
		if err := node.Reload(t.Context(), load(t, next)); err != nil {
			t.Fatalf("Reload() = %v, want nil", err)
		}
		log.waitFor(t, "configuration reloaded", "", i+1)
		// Until the specs are made of the latest plugins.
		log.waitFor(t, "item finished", "other", len(log.with(t, "item finished", "other"))+2)
	}
	finished := log.waitFor(t, "item finished", "slow", 1)[0]
	if finished["run"] != first || finished["outcome"] != "success" {
		t.Errorf("the item that ran before both reloads finished with %v of run %v, outcome %v, err %v, want success of run %v",
			finished["msg"], finished["run"], finished["outcome"], finished["err"], first)
	}
}

// TestANodeStopsInSpiteOfAHangingReload stops a node while a constructor hangs
// in a reload.
func TestANodeStopsInSpiteOfAHangingReload(t *testing.T) {
	t.Parallel()
	hang, begun := make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	plugin := spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "HANGS", Version: "1", Description: "Hangs when it is made again."},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			if calls.Add(1) == 2 {
				close(begun)
				<-hang
			}
			return spi.JobTypeFunc(func(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				return spi.ExecuteResponse{}, nil
			}), nil
		},
	}
	c := load(t, "elasticjob:\n  jobs:\n    one: {elasticJobType: HANGS, every: 1s, shardingTotalCount: 1}\n")
	node, err := elasticjob.New(t.Context(), c, elasticjob.WithPlugins(plugin))
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reloaded := make(chan error, 1)
	go func() { reloaded <- node.Reload(ctx, c) }()
	<-begun
	cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- node.Stop(t.Context()) }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("Stop() = %v, want nil", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("Stop() has not returned 30 s after the context of the hanging Reload() ended")
	}
	close(hang)
	if err := <-reloaded; err == nil {
		t.Error("Reload() whose context has ended = nil, want an error")
	}
}

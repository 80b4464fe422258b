package spitest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
)

// calls are what the listeners of a node say of their calls for one run.
type calls struct {
	whole chan struct{}

	mu   sync.Mutex
	run  string
	said []string
}

// told is what a listener says of a call: the method, whether it is once, and the
// items with their outcomes.
var told = regexp.MustCompile(`method=(\w+)|once=(\w+)|item=(\d+) |outcome="(\w*)"`)

func (c *calls) Write(line []byte) (int, error) {
	var record map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(line), &record); err != nil {
		return 0, err
	}
	_, ofItem := record["item"]
	if record["msg"] != "plugin output" || ofItem {
		return len(line), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == "" {
		c.run = fmt.Sprint(record["run"])
	}
	if len(c.said) == 4 || record["run"] != c.run {
		return len(line), nil
	}
	var words []string
	for _, match := range told.FindAllStringSubmatch(fmt.Sprint(record["line"]), -1) {
		words = append(words, strings.TrimSpace(match[0]))
	}
	if c.said = append(c.said, strings.Join(words, " ")); len(c.said) == 4 {
		close(c.whole)
	}
	return len(line), nil
}

// listen runs a node until the listener of its job was called four times in a run.
func listen(t *testing.T, plugins string, options ...elasticjob.Option) []string {
	t.Helper()
	file := "elasticjob:\n  dataDir: ./data\n" + plugins + `
  jobs:
    listened:
      elasticJobType: ` + subject.Type + `
      every: 1s
      shardingTotalCount: 2
      jobListenerTypes: ` + subject.Type + `
      props: {do: ` + subject.DoEcho + `}
`
	log := &calls{whole: make(chan struct{})}
	runUntil(t, file, log, log.whole, "the listener was not called four times in a run", options...)
	log.mu.Lock()
	defer log.mu.Unlock()
	return log.said
}

// A listener with both capabilities gets both calls in every host.
func TestListenersAreCalledOnceAndByEach(t *testing.T) {
	t.Parallel()
	want := []string{
		`method=before once=true item=0 outcome="" item=1 outcome=""`,
		`method=before once=false item=0 outcome="" item=1 outcome=""`,
		`method=after once=false item=0 outcome="success" item=1 outcome="success"`,
		`method=after once=true item=0 outcome="success" item=1 outcome="success"`,
	}
	check := func(t *testing.T, got []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	}
	t.Run("built in", func(t *testing.T) {
		t.Parallel()
		check(t, listen(t, "", elasticjob.WithPlugins(subject.Plugins()...)))
	})
	for host, built := range map[string]func() (string, error){"process": build.program, "wasm": build.module} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			path, err := built()
			if err != nil {
				t.Fatal(err)
			}
			check(t, listen(t, fmt.Sprintf("  plugins:\n    - %s: %s\n", host, path)))
		})
	}
}

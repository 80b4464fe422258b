//go:build unix

package main_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
)

// node is the file of this folder beside what was built, changed for a test:
// the service is the given one and the job fires every second.
func node(t *testing.T, group, list string, changes ...string) elasticjob.Config {
	t.Helper()
	text, err := os.ReadFile("elasticjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changes = append(changes, "https://oapi.dingtalk.com", group, "every: 30s", "every: 1s", "wasm: handlers.wasm", list)
	for i := 0; i < len(changes); i += 2 {
		if !bytes.Contains(text, []byte(changes[i])) {
			t.Fatalf("elasticjob.yaml does not hold %q", changes[i])
		}
	}
	file := filepath.Join(t.TempDir(), "elasticjob.yaml")
	changed := strings.NewReplacer(changes...).Replace(string(text))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DINGTALK_WEBHOOK", group+"/signed/node?access_token=s3cr3t%2Btoken%2F%3D%3D")
	t.Setenv("DINGTALK_SECRET", secret)
	config, problems := elasticjob.LoadFile(file)
	if len(problems) > 0 {
		t.Fatalf("LoadFile() = %v, want no problems", problems)
	}
	config.DataDir = dataDir // the nodes run one by one
	return config
}

// journal is a log that says when it holds a text.
type journal struct {
	mu sync.Mutex

	text   strings.Builder
	wanted string
	seen   chan struct{}
}

// Write adds to the journal.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Write(p)
	if j.wanted != "" && strings.Contains(j.text.String(), j.wanted) {
		j.wanted = ""
		close(j.seen)
	}
	return len(p), nil
}

// run runs the node until its log holds the text, and returns the log.
func run(t *testing.T, config elasticjob.Config, wanted string) string {
	t.Helper()
	j := &journal{wanted: wanted, seen: make(chan struct{})}
	n, err := elasticjob.New(t.Context(), config, elasticjob.WithLogger(slog.New(slog.NewJSONHandler(j, nil))))
	if err != nil {
		t.Fatalf("New() = %v, want nil", err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Errorf("Start() = %v, want nil", err)
	}
	select {
	case <-j.seen:
	case <-time.After(time.Minute):
	}
	if err := n.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.wanted != "" {
		t.Fatalf("the log of the node is\n%s\nwant %q in it", j.text.String(), wanted)
	}
	return j.text.String()
}

// TestTheNodeOfThisFolder runs elasticjob.yaml with the handlers in each place.
// It sets the environment, so it is not parallel to other tests.
func TestTheNodeOfThisFolder(t *testing.T) {
	group := &robots{told: make(map[string][]string)}
	server := httptest.NewServer(group)
	t.Cleanup(server.Close)
	places := []struct {
		list    string
		changes []string
	}{
		{"wasm: " + module, nil},
		{"process: " + program, nil},
		{"wasm: " + module, []string{"LOG,OWN_DINGTALK", "LOG,DINGTALK"}},
	}
	for i, place := range places {
		log := run(t, node(t, server.URL, place.list, place.changes...), "an dingtalk message been sent successful")
		group.mu.Lock()
		told := slices.Clone(group.told["node"])
		group.told["node"] = nil
		group.mu.Unlock()
		if len(told) == 0 || !strings.HasPrefix(told[0], "elasticjob: Job 'failing' exception occur in job processing, caused by fake: this item fails") {
			t.Errorf("place %d: the group reads %q, want the failure", i, told)
		}
		if !strings.Contains(log, "Job 'failing' exception occur in job processing") {
			t.Errorf("place %d: the log is\n%s\nwant that of LOG too", i, log)
		}
		for _, hidden := range []string{"s3cr3t", "SEC+"} {
			if strings.Contains(log, hidden) {
				t.Errorf("place %d: the log is\n%s\nwant no secret in it", i, log)
			}
		}
	}
}

// TestWithoutTheGrant holds what the README says of it.
func TestWithoutTheGrant(t *testing.T) {
	config := node(t, "http://127.0.0.1:1", "wasm: "+module, `      grants: {http: ["POST https://oapi.dingtalk.com"]}`+"\n", "")
	var notes []string
	problems := elasticjob.Lint(t.Context(), config, true, elasticjob.WithNotes(func(p elasticjob.Problem) { notes = append(notes, p.Message) }))
	if len(problems) > 0 {
		t.Errorf("Lint() = %v, want no problems", problems)
	}
	if !slices.ContainsFunc(notes, func(note string) bool {
		return strings.Contains(note, "OWN_DINGTALK") && strings.Contains(note, "http.request") && strings.Contains(note, "oapi.dingtalk.com")
	}) {
		t.Errorf("Lint() notes %q, want one that names OWN_DINGTALK, http.request and oapi.dingtalk.com", notes)
	}
	log := run(t, config, "is not granted")
	if want := `failed to send dingtalk because of: http.request to 127.0.0.1:1 is not granted: add it to grants.http of plugin OWN_DINGTALK`; !strings.Contains(log, want) {
		t.Errorf("the log is\n%s\nwant %q in it", log, want)
	}
}

package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
)

// run runs the items of the job against the service, and returns their results
// and failures.
func run(t *testing.T, address string) (results []string) {
	t.Helper()
	t.Setenv("REPORTS", address)
	config, problems := elasticjob.LoadFile("elasticjob.yaml")
	if len(problems) > 0 {
		t.Fatalf("LoadFile() = %v, want no problems", problems)
	}
	items, err := elasticjob.RunLocal(t.Context(), config, elasticjob.LocalRun{})
	if err != nil {
		t.Fatalf("RunLocal() = %v, want nil", err)
	}
	for _, item := range items {
		result := item.Result
		if item.Error != nil {
			result = item.Error.Message
		}
		results = append(results, result)
	}
	return results
}

func TestTheServiceIsCalledForEveryItem(t *testing.T) {
	server := httptest.NewServer(newService("open sesame"))
	t.Cleanup(server.Close)
	if got, want := run(t, server.URL), []string{"200 OK", "200 OK", "200 OK"}; !cmp.Equal(got, want) {
		t.Errorf("results = %q, want %q", got, want)
	}
}

func TestAWrongTokenIsAFailure(t *testing.T) {
	t.Setenv("REPORTS_TOKEN", "hunter2")
	server := httptest.NewServer(newService("open sesame"))
	t.Cleanup(server.Close)
	got := run(t, server.URL)
	for _, result := range got {
		if !strings.HasSuffix(result, "401 Unauthorized: who are you?") || strings.Contains(result, "hunter2") {
			t.Errorf("result = %q, want that the service refuses", result)
		}
	}
	if len(got) != 3 {
		t.Errorf("results = %q, want 3", got)
	}
}

func TestAServiceThatIsAway(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	for _, result := range run(t, server.URL) {
		if !strings.Contains(result, "refused") {
			t.Errorf("result = %q, want that the connection is refused", result)
		}
	}
}

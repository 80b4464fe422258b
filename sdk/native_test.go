//go:build !wasip1

package sdk

import (
	"context"
	"strings"
	"testing"
)

func TestExplanationSaysHowToBuildAModule(t *testing.T) {
	t.Parallel()
	var l list
	l.add(JobType("ORDERS", "", func(context.Context, *Job) error { return nil }))
	got := explanation(&l)
	for _, want := range []string{"jobType ORDERS", "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"} {
		if !strings.Contains(got, want) {
			t.Errorf("explanation = %q, want it to hold %q", got, want)
		}
	}
}

func TestExplanationSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	var l list
	l.add(JobType("orders", "", func(context.Context, *Job) error { return nil }))
	got := explanation(&l)
	if want := `type name "orders" does not match`; !strings.Contains(got, want) {
		t.Errorf("explanation = %q, want it to hold %q", got, want)
	}
}

package sdk

import (
	"context"
	"strings"
	"testing"
)

func TestExplainSaysHowToBuildAModule(t *testing.T) {
	t.Parallel()
	var l list
	l.add(JobType("ORDERS", "", func(context.Context, *Job) error { return nil }))
	var out strings.Builder
	explain(&out, &l)
	for _, want := range []string{"job type ORDERS", "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("explain prints %q, want it to hold %q", out.String(), want)
		}
	}
}

func TestExplainSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	var l list
	l.add(JobType("orders", "", func(context.Context, *Job) error { return nil }))
	var out strings.Builder
	explain(&out, &l)
	if want := `type name "orders" does not match`; !strings.Contains(out.String(), want) {
		t.Errorf("explain prints %q, want it to hold %q", out.String(), want)
	}
}

//go:build unix

// Package model_test holds the model of the marks to its invariants.
package model_test

import (
	"os/exec"
	"testing"
)

// TestModelKeepsItsInvariants checks the smallest configuration whole, and that
// some rules cannot be left out; `make model` makes all runs.
func TestModelKeepsItsInvariants(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "../../scripts/check-model.sh", "quick").CombinedOutput()
	if err != nil {
		t.Errorf("check-model.sh quick = %v, want nil\n%s", err, out)
	}
}

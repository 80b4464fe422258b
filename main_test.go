package elasticjob_test

import (
	"fmt"
	"os"
	"testing"
)

// TestMain keeps what nodes of tests and examples write out of the directories of
// the user.
func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "elasticjob")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, variable := range []string{"XDG_STATE_HOME", "LOCALAPPDATA"} {
		if err := os.Setenv(variable, dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

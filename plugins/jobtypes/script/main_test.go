//go:build unix

package script_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// The environment of the node that runs these tests.
const (
	nodeSecret = "REDIS_PASSWORD"
	nodeOther  = "ORACLE_SID"
)

func TestMain(m *testing.M) {
	if line := os.Getenv(varNode); line != "" {
		os.Exit(beNode(line))
	}
	if err := errors.Join(os.Setenv(nodeSecret, "hunter2"), os.Setenv(nodeOther, "orcl"), os.Setenv("LC_TEST", "C")); err != nil {
		fmt.Fprintln(os.Stderr, "before the tests:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

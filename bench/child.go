package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// stopPatience is how long a measurement that is interrupted has to stop what it
// started.
const stopPatience = 10 * time.Second

// runChild runs this program for one measurement and reads its results.
func runChild(ctx context.Context, executable string, args []string, stderr io.Writer) ([]result, error) {
	var stdout bytes.Buffer
	cmd := exec.CommandContext(ctx, executable, args...)
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopPatience
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	var results []result
	if err := json.Unmarshal(stdout.Bytes(), &results); err != nil {
		return nil, fmt.Errorf("reading its results: %w", err)
	}
	return results, nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
)

// runChild runs this program for one measurement and reads its results.
func runChild(ctx context.Context, executable string, args []string, stderr io.Writer) ([]result, error) {
	var stdout bytes.Buffer
	cmd := exec.CommandContext(ctx, executable, args...)
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	var results []result
	if err := json.Unmarshal(stdout.Bytes(), &results); err != nil {
		return nil, fmt.Errorf("reading its results: %w", err)
	}
	return results, nil
}

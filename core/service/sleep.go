package service

import (
	"context"
	"time"
)

// Sleep waits, and reports false when ctx ends meanwhile.
func Sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Package servicetest proves that a service keeps the contract of package
// service.
package servicetest

import (
	"context"
	"sync"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/service"
)

// Stress starts and stops services made by newService in every order the
// contract allows, also from several goroutines at once.
func Stress(t *testing.T, newService func(t *testing.T) service.Service) {
	t.Helper()
	t.Run("stop before start", func(t *testing.T) {
		s := newService(t)
		mustStop(t, s)
		if err := s.Start(t.Context()); err == nil {
			mustStop(t, s)
			t.Error("Start() after Stop() = nil, want an error")
		}
	})
	t.Run("start and stop twice", func(t *testing.T) {
		s := newService(t)
		for range 2 {
			if err := s.Start(t.Context()); err != nil {
				t.Fatalf("Start() = %v, want nil", err)
			}
		}
		for range 2 {
			mustStop(t, s)
		}
	})
	t.Run("at once", func(t *testing.T) {
		for range 20 {
			s := newService(t)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					// Either it runs or a Stop came first; both are allowed.
					_ = s.Start(context.Background())
				})
				wg.Go(func() {
					if err := s.Stop(context.Background()); err != nil {
						t.Errorf("Stop() = %v, want nil", err)
					}
				})
			}
			wg.Wait()
			mustStop(t, s)
		}
	})
}

func mustStop(t *testing.T, s service.Service) {
	t.Helper()
	if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Fatalf("Stop() = %v, want nil", err)
	}
}

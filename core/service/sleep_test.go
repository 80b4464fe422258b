package service_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/service"
)

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		if slept := service.Sleep(ctx, time.Second); !slept || time.Since(begin) != time.Second {
			t.Errorf("Sleep(1s) = %v after %v, want true after 1s", slept, time.Since(begin))
		}
		if slept := service.Sleep(ctx, time.Hour); slept || time.Since(begin) != time.Minute {
			t.Errorf("Sleep(1h) = %v after %v, want false when the minute is over", slept, time.Since(begin))
		}
	})
}

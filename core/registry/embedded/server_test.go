package embedded_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
)

func open(t *testing.T) *embedded.Server {
	t.Helper()
	s, err := embedded.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestLongPipelineDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	s := open(t)
	value := strings.Repeat("v", 1000)
	const n = 5000
	cmds, err := s.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range n {
			p.Set(t.Context(), "k"+strconv.Itoa(i), value, 0)
			p.Get(t.Context(), "k"+strconv.Itoa(i))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cmds {
		if got, ok := c.(*redis.StringCmd); ok && got.Val() != value {
			t.Fatalf("%v = %d bytes, want %d", got.Args(), len(got.Val()), len(value))
		}
	}
}

func TestCloseEndsClientAndMayRepeat(t *testing.T) {
	t.Parallel()
	s, err := embedded.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
	if err := s.Client().Ping(t.Context()).Err(); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("Ping after Close = %v, want %v", err, redis.ErrClosed)
	}
}

func TestContextDeadlineEndsBlockingCommand(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := s.Client().BLPop(ctx, 20*time.Second, "empty").Err(); err == nil {
		t.Error("BLPop of an empty list = nil, want the context's end")
	}
	if d := time.Since(begun); d > 10*time.Second {
		t.Errorf("BLPop ended after %v, want soon after its deadline", d)
	}
}

func TestClockFollowsBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := embedded.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		before, err := s.Client().Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		after, err := s.Client().Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if d := after.Sub(before); d != time.Hour {
			t.Errorf("the server's clock went on by %v, want 1h", d)
		}
	})
}

func TestSetTime(t *testing.T) {
	t.Parallel()
	s := open(t)
	want := time.UnixMicro(1_795_248_000_000_123)
	s.SetTime(want)
	got, err := s.Client().Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal(want) {
		t.Errorf("Time() = %v, want %v", got, want)
	}
}

// TestOpensNoPort is not parallel: it looks at all sockets of the process.
func TestOpensNoPort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("sockets of the process are only listed on linux")
		return
	}
	s := open(t)
	if err := s.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		link, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name()))
		if err == nil && strings.HasPrefix(link, "socket:") {
			t.Errorf("file descriptor %s is %s, want no socket", fd.Name(), link)
		}
	}
}

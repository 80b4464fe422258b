//go:build unix

package redistest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// patience bounds what takes milliseconds on an idle machine.
const patience = 20 * time.Second

// childVariable tells this binary that it is the child of a test.
const childVariable = "REDISTEST_CHILD"

func set(t *testing.T, s *redistest.Server, value string) {
	t.Helper()
	if err := s.Client().Set(t.Context(), "key", value, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *redistest.Server) string {
	t.Helper()
	got, err := s.Client().Get(t.Context(), "key").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return got
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	one, other := redistest.Start(t), redistest.Start(t)
	set(t, one, "of one")
	if got := get(t, other); got != "" {
		t.Errorf("Get(key) of another server = %q, want none", got)
	}
	if one.Addr() == other.Addr() || one.Dir() == other.Dir() {
		t.Errorf("two servers share %s or %s", one.Addr(), one.Dir())
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	end := map[string]func(*redistest.Server){
		"running": func(*redistest.Server) {},
		"stopped": (*redistest.Server).Stop,
		"killed":  (*redistest.Server).Kill,
		"paused":  (*redistest.Server).Pause,
	}
	for name, end := range end {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, keeps := range []bool{false, true} {
				var opts []redistest.Option
				want := ""
				if keeps {
					opts, want = append(opts, redistest.AppendOnly()), "kept"
				}
				s := redistest.Start(t, opts...)
				set(t, s, "kept")
				addr, pid := s.Addr(), s.PID()
				end(s)
				s.Restart()
				if got := get(t, s); got != want {
					t.Errorf("Get(key) after Restart() = %q, want %q", got, want)
				}
				if s.Addr() != addr || s.PID() == pid {
					t.Errorf("Restart() made process %d at %s of %d at %s, want another at the same address", s.PID(), s.Addr(), pid, addr)
				}
			}
		})
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	set(t, s, "v")
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Client().Ping(ctx).Err(); err == nil {
		t.Error("Ping() of a paused server = nil, want an error")
	}
	s.Resume()
	if got := get(t, s); got != "v" {
		t.Errorf("Get(key) after Resume() = %q, want v", got)
	}
}

func TestFlush(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	set(t, s, "v")
	s.Flush()
	if got := get(t, s); got != "" {
		t.Errorf("Get(key) after Flush() = %q, want none", got)
	}
}

func TestSetting(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Setting("maxmemory-policy", "allkeys-lru"), redistest.Setting("save", "60", "1"))
	got, err := s.Client().ConfigGet(t.Context(), "[ms]a[xv]*").Result()
	if err != nil {
		t.Fatal(err)
	}
	if got["maxmemory-policy"] != "allkeys-lru" || got["save"] != "60 1" {
		t.Errorf("ConfigGet = %q, want allkeys-lru and 60 1", got)
	}
}

func TestPasswordAndUser(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Password("secret of all"), redistest.ACL("reader", "secret", "+get", "+ping", "~*"))
	set(t, s, "v")
	anonymous := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer anonymous.Close()
	if err := anonymous.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("Ping() without password = %v, want NOAUTH", err)
	}
	reader := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: "reader", Password: "secret"})
	defer reader.Close()
	if got, err := reader.Get(t.Context(), "key").Result(); got != "v" || err != nil {
		t.Errorf("Get(key) of reader = %q, %v, want v", got, err)
	}
	if err := reader.Set(t.Context(), "key", "w", 0).Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("Set(key) of reader = %v, want NOPERM", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.TLS(), redistest.Setting("tls-auth-clients", "yes"))
	set(t, s, "v")
	config := s.TLS()
	config.Certificates = nil
	nameless := redis.NewClient(&redis.Options{Addr: s.Addr(), TLSConfig: config, DialerRetries: 1, MaxRetries: -1})
	defer nameless.Close()
	if err := nameless.Ping(t.Context()).Err(); err == nil {
		t.Error("Ping() without a certificate = nil, want an error")
	}
	// A server for another host is of use for tests of names: its own client
	// does not mind.
	set(t, redistest.Start(t, redistest.TLS("redis.example.com")), "v")
}

// failing stands in for a test that is expected to fail.
type failing struct {
	testing.TB

	said string
}

func (f *failing) Fatal(args ...any) {
	f.said = strings.TrimSpace(strings.Join(text(args), " "))
	runtime.Goexit()
}

func text(args []any) []string {
	var out []string
	for _, a := range args {
		if s, ok := a.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func TestStartShowsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		redistest.Start(f, redistest.Setting("no-such-directive", "1"))
	}()
	<-done
	if !strings.Contains(f.said, "no-such-directive") {
		t.Errorf("Start with an unknown directive says %q, want what the server says of no-such-directive", f.said)
	}
}

// TestKilledTestLeavesNoServer runs this binary once more, has it start a
// server and kills it.
func TestKilledTestLeavesNoServer(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		s := redistest.Start(t)
		if _, err := os.Stdout.WriteString("server " + strconv.Itoa(s.PID()) + "\n"); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only Linux ends the children of a process that is killed")
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestKilledTestLeavesNoServer$", "-test.count", "1")
	child.Env = append(os.Environ(), childVariable+"=1", "TMPDIR="+t.TempDir())
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := output.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "server ")))
	if err != nil {
		t.Fatalf("the child says %q, want its server", line[:n])
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	for deadline := time.Now().Add(patience); isAlive(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("server %d lives on after the test that started it was killed", pid)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// isAlive says that there is such a process and that it has not ended: nobody
// may be there to wait for one that has.
func isAlive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

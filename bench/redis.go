package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer is a Redis of its own for one measurement: the redis-server that
// the PATH has, on a free port of the loopback interface, keeping nothing.
type redisServer struct {
	addr   string
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process is gone
	err    error         // of the process then
	client *redis.Client
}

// redisStart bounds how long a server may take until it answers.
const redisStart = 10 * time.Second

func startRedis(ctx context.Context) (*redisServer, error) {
	dir, err := os.MkdirTemp("", "elasticjob-bench-redis-")
	if err != nil {
		return nil, err
	}
	s := &redisServer{dir: dir, ended: make(chan struct{})}
	port, err := freePort(ctx)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.addr = net.JoinHostPort("127.0.0.1", port)
	var output bytes.Buffer
	s.cmd = exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.Stdout, s.cmd.Stderr = &output, &output
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Redis: %w", err), os.RemoveAll(dir))
	}
	go func() {
		defer close(s.ended)
		s.err = s.cmd.Wait()
	}()
	s.client = redis.NewClient(&redis.Options{Addr: s.addr})
	bounded, cancel := context.WithTimeout(ctx, redisStart)
	defer cancel()
	for s.client.Ping(bounded).Err() != nil {
		select {
		case <-s.ended:
			return nil, errors.Join(fmt.Errorf("redis-server ended (%w): %s", s.err, &output), s.client.Close(), os.RemoveAll(dir))
		default:
		}
		if err := waitUntil(bounded, time.Now().Add(10*time.Millisecond)); err != nil {
			return nil, errors.Join(fmt.Errorf("waiting for Redis: %w", err), s.stop())
		}
	}
	return s, nil
}

// freePort is a port that nobody has at the moment.
func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// stop ends the server and waits until it is gone.
func (s *redisServer) stop() error {
	err := s.client.Close()
	if killErr := s.cmd.Process.Kill(); killErr == nil {
		<-s.ended
	} else if !errors.Is(killErr, os.ErrProcessDone) {
		err = errors.Join(err, killErr)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// usage is what a server has done since it was started, or between two readings.
type usage struct {
	cpu      time.Duration
	commands map[string]int64
}

// used reads the server's counters; nothing of no server. A reading that fails is
// noticed by what fails after it.
func (s *redisServer) used(ctx context.Context) usage {
	if s == nil {
		return usage{}
	}
	text, err := s.client.Info(ctx, "cpu", "commandstats").Result()
	if err != nil {
		return usage{}
	}
	return parseUsage(text)
}

// during is what the server does in some time.
func (s *redisServer) during(ctx context.Context, length time.Duration) (usage, error) {
	before := s.used(ctx)
	err := waitUntil(ctx, time.Now().Add(length))
	return s.used(ctx).since(before), err
}

// parseUsage reads the sections cpu and commandstats of INFO.
func parseUsage(text string) usage {
	u := usage{commands: make(map[string]int64)}
	for line := range strings.Lines(text) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case name == "used_cpu_user" || name == "used_cpu_sys":
			if seconds, err := strconv.ParseFloat(text, 64); err == nil {
				u.cpu += time.Duration(seconds * float64(time.Second))
			}
		case strings.HasPrefix(name, "cmdstat_"):
			calls, _, _ := strings.Cut(strings.TrimPrefix(text, "calls="), ",")
			if n, err := strconv.ParseInt(calls, 10, 64); err == nil {
				u.commands[strings.TrimPrefix(name, "cmdstat_")] = n
			}
		}
	}
	return u
}

// since returns what was done after an earlier reading.
func (u usage) since(earlier usage) usage {
	d := usage{cpu: u.cpu - earlier.cpu, commands: maps.Clone(u.commands)}
	for name, n := range earlier.commands {
		d.commands[name] -= n
	}
	return d
}

// calls returns how often the commands were called. The server counts also those
// that scripts call.
func (u usage) calls(names ...string) int64 {
	var n int64
	for _, name := range names {
		n += u.commands[name]
	}
	return n
}

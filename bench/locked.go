package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// lockExpiry is redsync's default.
const lockExpiry = 8 * time.Second

// locker takes a lock for each run of the jobs of one scheduler. It does what
// gocron-redis-lock does with one try, and saves the script by which that takes
// back a lock that it has not got.
type locker struct {
	client *redis.Client
	jobs   map[string]*tracked
}

var _ gocron.Locker = (*locker)(nil)

var errTaken = errors.New("another scheduler has the lock")

// Lock takes the lock of a job, or fails when another scheduler has it. Either
// way the turn of the job in this scheduler is over.
func (l *locker) Lock(ctx context.Context, key string) (gocron.Lock, error) {
	job := l.jobs[key]
	instant := job.turn()
	token := uuid.NewString()
	got, err := l.client.SetNX(ctx, key, token, lockExpiry).Result()
	if err != nil {
		return nil, err
	}
	if !got {
		return nil, errTaken
	}
	job.locked.Store(instant)
	return &lock{l.client, key, token}, nil
}

type lock struct {
	client     *redis.Client
	key, token string
}

var _ gocron.Lock = (*lock)(nil)

// unlockScript deletes the lock if its holder still has it.
var unlockScript = redis.NewScript(`if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])`) //nolint:gochecknoglobals // a constant

// Unlock gives the lock back.
func (l *lock) Unlock(ctx context.Context) error {
	return unlockScript.Run(ctx, l.client, []string{l.key}, l.token).Err()
}

// startLocked starts gocron schedulers that all have all jobs, and take a lock in
// Redis for each run.
func startLocked(ctx context.Context, _ *settings, l load, probes []*probe) (started, error) {
	server, err := startRedis(ctx)
	if err != nil {
		return started{}, err
	}
	var schedulers []gocron.Scheduler
	stop := func(context.Context) error {
		var errs []error
		for _, s := range schedulers {
			errs = append(errs, stopGocron(s))
		}
		return errors.Join(append(errs, server.stop())...)
	}
	for range max(l.nodes, 1) {
		s, err := newGocron(l, probes, &locker{client: server.client, jobs: make(map[string]*tracked, len(probes))})
		if err != nil {
			return started{}, errors.Join(err, stop(ctx))
		}
		schedulers = append(schedulers, s)
	}
	for _, s := range schedulers {
		s.Start()
	}
	return started{stop: stop, redis: server, sends: []string{"set", "evalsha", "eval"}}, nil
}

package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/core/registry/embedded"
)

const (
	// embeddedTimeout is the length of a lease on the embedded registry,
	// regCenter's default.
	embeddedTimeout = 15 * time.Second
	// registryGrace is how long after its lease a session is reaped.
	registryGrace = time.Second
	// embeddedNamespace is the only one of an embedded registry.
	embeddedNamespace = "elasticjob"
	// clusterPartitions is into how many parts a namespace on a Redis Cluster is
	// cut, so that its jobs are spread over the shards.
	clusterPartitions = 32
)

// connection is a Redis in which the registry lives.
type connection struct {
	commands       redis.UniversalClient
	firings        redis.UniversalClient // nil: commands
	sessions       redis.UniversalClient // likewise
	namespace      string
	sessionTimeout time.Duration
	partitions     int
	isCluster      bool
	isEmbedded     bool
	server         *embedded.Server // of an embedded registry
	close          func() error
}

// describeRegistry names the registry in records.
func describeRegistry(r *config.RegCenter) string {
	if r == nil {
		return "embedded"
	}
	return strings.Join(r.Servers, ",") + "/" + r.Namespace
}

// connect reaches the Redis of the configuration, or starts one in the process.
func connect(ctx context.Context, node config.Config, machine Machine, logger *slog.Logger) (*connection, error) {
	r := node.RegCenter
	if r == nil {
		server, err := embedded.Open(ctx)
		if err != nil {
			return nil, err
		}
		return &connection{
			commands: server.Client(), namespace: embeddedNamespace, sessionTimeout: embeddedTimeout, partitions: 1, isEmbedded: true,
			server: server, close: server.Close,
		}, nil
	}
	encrypted, problems := node.ClientTLS()
	if len(problems) > 0 {
		return nil, problems
	}
	where := addressOf(r)
	where.TLS, where.Dial = encrypted, machine.Dial
	where.Waiting = func(err error) { logger.Warn("registry not reached, trying again", "err", err) }
	c, err := dial.Open(ctx, where)
	if err != nil {
		return nil, err
	}
	for _, advice := range c.Advice() {
		logger.Warn("registry should be set up otherwise", "advice", advice)
	}
	n := &connection{
		commands: c.Commands(), firings: c.Firings(), sessions: c.Sessions(), namespace: r.Namespace, sessionTimeout: r.SessionTimeout,
		partitions: 1, isCluster: c.Cluster(), close: c.Close,
	}
	if n.isCluster {
		n.partitions = clusterPartitions
	}
	return n, nil
}

// addressOf is a registry center as package dial takes it, without encryption.
func addressOf(r *config.RegCenter) dial.Config {
	return dial.Config{
		Servers: r.Servers, MasterName: r.MasterName, Username: r.Username, Password: r.Password,
		SentinelUsername: r.SentinelUsername, SentinelPassword: r.SentinelPassword, Database: r.Database,
		ConnectionTimeout: r.ConnectionTimeout, MinRetryBackoff: r.BaseSleepTime, MaxRetryBackoff: r.MaxSleepTime, MaxRetries: r.MaxRetries,
		Namespace: r.Namespace,
	}
}

// registryService is the registry center of the node.
type registryService struct {
	host *Host
}

// Start opens the registry center.
func (r *registryService) Start(ctx context.Context) error {
	h := r.host
	if h.connection == nil {
		c, err := connect(ctx, h.config.Node, h.config.Machine, h.logger)
		if err != nil {
			return err
		}
		h.connection = c
	}
	c := h.connection
	center, err := registry.Open(ctx, registry.Config{
		Client: c.commands, Firings: c.firings, Sessions: c.sessions, Namespace: c.namespace, SessionTimeout: c.sessionTimeout,
		Grace: registryGrace, Embedded: c.isEmbedded, Partitions: c.partitions, Cluster: c.isCluster,
	})
	if err != nil {
		return errors.Join(err, c.close())
	}
	h.center = center
	if c.isEmbedded {
		h.logger.Info("registry is embedded: it lives with this process and no other node can join; name a regCenter for a fleet")
		return nil
	}
	if err := h.alignClock(ctx); err != nil {
		return errors.Join(err, c.close())
	}
	return nil
}

// Stop closes it.
func (r *registryService) Stop(context.Context) error { return r.host.connection.close() }

// clockReadings is how often the server's clock is read at the start.
const clockReadings = 5

// alignClock reads the clock of the server, and refuses to start when it differs
// more from this machine's than a job allows.
func (h *Host) alignClock(ctx context.Context) error {
	h.clock = newServerClock(h.config.Machine.Now, h.elapsed)
	for range clockReadings {
		sent := h.clock.local()
		server, err := h.connection.commands.Time(ctx).Result()
		if err != nil {
			return fmt.Errorf("reading the clock of the registry: %w", err)
		}
		h.clock.observe(server.Add(-500*time.Microsecond), sent, h.clock.local())
	}
	bound, name := h.jobs.clockBound()
	if difference := h.clock.difference().Abs(); bound >= 0 && difference > bound {
		return fmt.Errorf("this machine's clock and the registry's differ by %v, more than maxTimeDiffSeconds of job %q allows: set the clocks, with NTP for instance", difference.Round(time.Millisecond), name)
	}
	return nil
}

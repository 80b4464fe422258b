package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// hostStream is the broker stream of the service Host.
const hostStream = 1

// maxHostCalls bounds what a program may ask its host at once; more wait.
const maxHostCalls = 256

// instance is a running program that has been attached. It is safe for
// concurrent use.
type instance struct {
	process *process
	client  *goplugin.Client
	plugin  pluginpb.PluginClient
	health  grpc_health_v1.HealthClient
	calls   *calls
	started time.Time
	over    chan struct{} // closed when its program knows that it has ended

	serving sync.WaitGroup
	served  chan struct{} // closed when host is set
	host    *grpc.Server
}

// clientConfig is the one place where go-plugin is configured.
func (p *program) clientConfig(newRunner func(env []string) (*process, error)) *goplugin.ClientConfig {
	return &goplugin.ClientConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginpb.ProtocolVersion, MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginpb.ProtocolVersion: {pluginpb.Name: door{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			return newRunner(cmd.Env)
		},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     2 * p.config.StartTimeout, // the context of the start ends first
		SyncStdout:       &lines{out: p.out, stream: spi.StreamStdout},
		SyncStderr:       &lines{out: p.out, stream: spi.StreamStderr},
		Logger:           hclog.NewNullLogger(),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: p.dir},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pluginpb.MaxFrame), grpc.MaxCallSendMsgSize(pluginpb.MaxFrame)),
		},
	}
}

// door is how go-plugin hands out a connection.
type door struct {
	goplugin.NetRPCUnsupportedPlugin
}

var _ goplugin.GRPCPlugin = door{}

// GRPCServer is for the other side.
func (door) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this is a host")
}

// GRPCClient returns the *connection.
func (door) GRPCClient(_ context.Context, broker *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &connection{broker: broker, conn: conn}, nil
}

type connection struct {
	broker *goplugin.GRPCBroker
	conn   *grpc.ClientConn
}

// connect starts the program and attaches it. When ctx ends, the program does.
func (p *program) connect(ctx context.Context) (*instance, error) {
	in := &instance{calls: newCalls(), served: make(chan struct{}), over: make(chan struct{})}
	p.out.forget()
	env := append([]string{pluginpb.EnvPath + "=" + p.path}, p.env...)
	late := fmt.Errorf("no handshake and connection within %v: %w", p.config.StartTimeout, spi.ErrTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, p.config.StartTimeout, late)
	defer cancel()
	var made atomic.Pointer[process]
	in.client = goplugin.NewClient(p.clientConfig(func(protocol []string) (*process, error) {
		proc := newProcess(p.host, p.image, p.path, append(env, protocol...), p.out)
		made.Store(proc)
		return proc, context.Cause(ctx)
	}))
	giveUp := func() {
		if proc := made.Load(); proc != nil {
			proc.end("it did not start: " + context.Cause(ctx).Error())
		}
	}
	// go-plugin's start takes no context, but ends when the program does.
	stop := context.AfterFunc(ctx, giveUp)
	err := in.attach(ctx)
	stop()
	in.process = made.Load()
	switch {
	case err == nil:
		in.started = time.Now()
		return in, nil
	case in.process != nil && in.process.cmd.Process != nil:
	case ctx.Err() != nil:
		return nil, spi.NewError(interrupted(ctx).Code, "it did not start: "+context.Cause(ctx).Error())
	default:
		return nil, spi.NewError(spi.CodeUnavailable, p.refusedStart(err))
	}
	if ctx.Err() != nil {
		giveUp()
	}
	in.close(0)
	return nil, p.startError(ctx, in.process, err)
}

// refusedStart says why the system does not start a program. The usual reasons
// name the private copy, which the operator has never seen.
func (p *program) refusedStart(err error) string {
	_, gone := os.Stat(p.image.path)
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return "is neither a program for this machine nor a script whose first line begins with #! (" + syscall.ENOEXEC.Error() + ")"
	case errors.Is(err, fs.ErrNotExist) && gone == nil:
		return "cannot be started: the interpreter that its first line names, or the loader that it was linked for, is not on this machine"
	default:
		return "starting the program: " + err.Error()
	}
}

// startError says why a program did not come up.
func (p *program) startError(ctx context.Context, proc *process, err error) *spi.Error {
	code := spi.CodeProtocol
	if ctx.Err() != nil {
		code = interrupted(ctx).Code
	}
	text := proc.how()
	if proc.reason == "" && proc.handshake == nil && status.Code(err) != codes.Unavailable {
		text = err.Error() + "; " + text
	}
	return spi.NewError(code, wire.Cut("is not a plugin that can be used here: "+text, wire.MaxText))
}

// attach connects the program with the services of its host.
func (in *instance) attach(ctx context.Context) error {
	protocol, err := in.client.Client()
	if err != nil {
		return err
	}
	dispensed, err := protocol.Dispense(pluginpb.Name)
	if err != nil {
		return err
	}
	c, ok := dispensed.(*connection)
	if !ok {
		return fmt.Errorf("go-plugin gave a %T", dispensed)
	}
	in.plugin, in.health = pluginpb.NewPluginClient(c.conn), grpc_health_v1.NewHealthClient(c.conn)
	over := make(chan struct{})
	in.serving.Go(func() {
		defer close(over)
		c.broker.AcceptAndServe(hostStream, func(options []grpc.ServerOption) *grpc.Server {
			in.host = grpc.NewServer(append(options, grpc.MaxRecvMsgSize(pluginpb.MaxFrame), grpc.MaxSendMsgSize(pluginpb.MaxFrame), grpc.MaxConcurrentStreams(maxHostCalls))...)
			pluginpb.RegisterHostServer(in.host, &services{calls: in.calls})
			close(in.served)
			return in.host
		})
	})
	// The answer to the program's dial is on its way before the program is
	// asked to dial.
	select {
	case <-in.served:
	case <-over:
		return errors.New("its broker is closed")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	_, err = in.plugin.Attach(ctx, &pluginpb.AttachRequest{Abi: wire.Version, HostStream: hostStream})
	if err != nil {
		return fmt.Errorf("attaching it: %w", err)
	}
	return nil
}

// alive reports whether the program answers.
func (in *instance) alive(ctx context.Context) bool {
	response, err := in.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	if status.Code(err) == codes.Unimplemented {
		return true
	}
	return err == nil && response.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
}

// close asks the program to end, ends it when it has not after the grace, and
// waits until nothing of it is left.
func (in *instance) close(grace time.Duration) {
	if grace > 0 {
		// go-plugin asks first, by a call that not every program has.
		ask := time.AfterFunc(grace/2, in.process.ask)
		end := time.AfterFunc(grace, func() { in.process.end("it did not end within " + grace.String()) })
		defer ask.Stop()
		defer end.Stop()
	} else {
		in.process.end("")
	}
	in.client.Kill()
	<-in.process.exited
	in.calls.end()
	select {
	case <-in.served:
		in.host.Stop() // something that the program has started may hold the connection
	default:
	}
	in.serving.Wait()
}

// Package serve is the author's half of the protocol of process plugins: it
// makes a program of a list of plugins. The sdk will offer it to authors; until
// then tests use it.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
)

// Main serves the plugins until the host ends the program, and returns the exit
// status. Cookie is the value of the variable [pluginpb.CookieKey] of the
// environment: without it the program was started by hand, and says what it is.
//
// A panic of a plugin is the error of its call. The program ends itself, and all
// that it has started in its process group, when its standard input ends: then
// its host is gone.
func Main(cookie string, stdin io.Reader, stderr io.Writer, plugins ...spi.Plugin) int {
	if cookie != pluginpb.CookieValue {
		fmt.Fprintln(stderr, "This program is a plugin of elasticjob and is started by it: name it in the configuration of a node, as plugins: [{process: FILE}].")
		for _, p := range plugins {
			fmt.Fprintf(stderr, "It brings the %s %s: %s\n", p.Descriptor.Kind, p.Descriptor.Type, p.Descriptor.Description)
		}
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		endGroup()
	}()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginpb.ProtocolVersion, MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{
			pluginpb.ProtocolVersion: {pluginpb.Name: &door{plugins: plugins}},
		},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(pluginpb.MaxFrame))...)
		},
		Logger: hclog.NewNullLogger(),
	})
	return 0
}

// door registers the plugins with go-plugin.
type door struct {
	goplugin.NetRPCUnsupportedPlugin
	plugins []spi.Plugin
}

var _ goplugin.GRPCPlugin = (*door)(nil)

// GRPCServer registers the service Plugin.
func (d *door) GRPCServer(broker *goplugin.GRPCBroker, server *grpc.Server) error {
	pluginpb.RegisterPluginServer(server, newServer(broker, d.plugins))
	return nil
}

// GRPCClient is for the other side.
func (*door) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is a plugin")
}

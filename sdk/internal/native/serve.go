//go:build !wasip1

// Package native is the author's half of the protocol of process plugins: it
// makes a program of a list of plugins. It is what sdk.Main does in a program
// that a host has started.
package native

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
)

// Serve serves the plugins to the host that has started this program, and
// returns when the host asks the program to end.
//
// A panic of a plugin is the error of its call. The program ends itself, and all
// that it has started in its process group, when stdin ends: then its host is
// gone.
func Serve(stdin io.Reader, plugins []spi.Plugin) {
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		endGroup()
	}()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginpb.ProtocolVersion, MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{
			pluginpb.ProtocolVersion: {pluginpb.Name: &door{plugins: plugins, own: streams{out: os.Stdout, err: os.Stderr}}},
		},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(pluginpb.MaxFrame))...)
		},
		Logger: hclog.NewNullLogger(),
	})
}

// door registers the plugins with go-plugin.
type door struct {
	goplugin.NetRPCUnsupportedPlugin
	plugins []spi.Plugin
	own     streams
}

var _ goplugin.GRPCPlugin = (*door)(nil)

// GRPCServer registers the service Plugin.
func (d *door) GRPCServer(broker *goplugin.GRPCBroker, server *grpc.Server) error {
	pluginpb.RegisterPluginServer(server, newServer(broker, d.plugins, d.own))
	return nil
}

// GRPCClient is for the other side.
func (*door) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is a plugin")
}

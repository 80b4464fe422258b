package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
)

// serveHostile speaks the protocol as no sdk does.
func serveHostile(mode string) {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: pluginpb.ProtocolVersion, MagicCookieKey: pluginpb.CookieKey, MagicCookieValue: pluginpb.CookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{pluginpb.ProtocolVersion: {pluginpb.Name: &hostile{mode: mode}}},
		GRPCServer:       goplugin.DefaultGRPCServer,
		Logger:           hclog.NewNullLogger(),
	})
}

type hostile struct {
	goplugin.NetRPCUnsupportedPlugin
	pluginpb.UnimplementedPluginServer
	mode string
}

func (h *hostile) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	switch h.mode {
	case "foreign":
		// It is a plugin, but of something else.
	case "wrong":
		server.RegisterService(&grpc.ServiceDesc{
			ServiceName: pluginpb.Plugin_ServiceDesc.ServiceName, HandlerType: (*any)(nil),
			Methods: []grpc.MethodDesc{{MethodName: "Attach", Handler: answerText}, {MethodName: "Describe", Handler: answerText}},
		}, h)
	default:
		pluginpb.RegisterPluginServer(server, h)
	}
	return nil
}

// answerText answers a message of another type.
func answerText(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
	return wrapperspb.String("not what you think"), nil
}

func (*hostile) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is a plugin")
}

func (h *hostile) Attach(context.Context, *pluginpb.AttachRequest) (*pluginpb.AttachResponse, error) {
	switch h.mode {
	case "detached":
		select {}
	case "chatty":
		out := os.NewFile(1, "stdout")
		go func() {
			for {
				fmt.Fprintln(out, strings.Repeat("x", 1000))
			}
		}()
	}
	return &pluginpb.AttachResponse{}, nil
}

func (h *hostile) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	switch h.mode {
	case "mute":
		select {}
	case "empty":
		return &pluginpb.DescribeResponse{}, nil
	case "broken":
		return nil, status.Error(codes.DataLoss, "out of paper")
	}
	return &pluginpb.DescribeResponse{Plugins: []*pluginpb.Descriptor{{Kind: string(spi.KindJobType), Type: "TEST"}}}, nil
}

// Execute answers, whatever it is asked.
func (h *hostile) Execute(context.Context, *pluginpb.ExecuteRequest) (*pluginpb.ExecuteResponse, error) {
	if h.mode == "huge" {
		return &pluginpb.ExecuteResponse{Message: strings.Repeat("x", 18<<20)}, nil
	}
	return &pluginpb.ExecuteResponse{Message: "well"}, nil
}

func (*hostile) Cancel(context.Context, *pluginpb.CancelRequest) (*pluginpb.CancelResponse, error) {
	return &pluginpb.CancelResponse{}, nil
}

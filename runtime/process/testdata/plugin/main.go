// Command plugin is the process plugin of the tests. It does what the job
// parameter says; the variable MODE makes it misbehave before or after that.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

func main() {
	switch mode := os.Getenv("MODE"); mode {
	case "exit":
		os.Exit(0)
	case "complain":
		fmt.Fprintln(os.Stderr, "no licence found")
		os.Exit(3)
	case "garbage":
		fmt.Println("hello world")
		select {}
	case "flood":
		for {
			fmt.Print(strings.Repeat("x", 1<<16))
		}
	case "hang":
		time.Sleep(time.Hour)
	case "cookie":
		_ = os.Setenv(pluginpb.CookieKey, "another")
	case "version":
		fmt.Println("1|2|unix|/nowhere|grpc|AAAA")
		select {}
	case "plain":
		fmt.Println("1|1|unix|/nowhere|grpc|")
		select {}
	case "nobody":
		fmt.Println("1|1|unix|/nowhere|grpc|" + strings.Repeat("AAAA", 20))
		select {}
	case "crash once":
		// Without state of its own it looks at a file.
		marker := os.Getenv("MARKER")
		if _, err := os.Stat(marker); err != nil {
			_ = os.WriteFile(marker, nil, 0o600)
			os.Exit(4)
		}
	case "mute", "empty", "huge", "detached", "foreign", "broken", "wrong", "chatty":
		serveHostile(mode)
		return
	case "deaf":
		// The end of the host goes unnoticed: the other end is kept open here.
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		defer w.Close()
		os.Stdin = r
	}
	for _, p := range offered(os.Getenv("MODE")) {
		sdk.Register(p)
	}
	sdk.Main()
	if mode := os.Getenv("MODE"); mode == "stay" || mode == "deaf" {
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Hour)
	}
}

// offered are the plugins that the program says it has.
func offered(mode string) []spi.Plugin {
	switch mode {
	case "lie":
		return []spi.Plugin{{Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "lower"}}}
	case "pool":
		return []spi.Plugin{{Descriptor: spi.Descriptor{Kind: spi.KindExecutorPool, Type: "POOL"}}}
	case "capability":
		return []spi.Plugin{{Descriptor: spi.Descriptor{Kind: spi.KindTracingSink, Type: "SINK", Capabilities: []string{"dataflow"}}}}
	case "nothing":
		return nil
	case "twice":
		return append(plugins(), plugins()[0])
	case "many":
		var all []spi.Plugin
		for i := range 10_000 {
			all = append(all, spi.Plugin{Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: fmt.Sprintf("HANDLER_%d", i)}})
		}
		return all
	default:
		return plugins()
	}
}

func plugins() []spi.Plugin {
	return []spi.Plugin{
		{
			Descriptor: spi.Descriptor{
				Kind: spi.KindJobType, Type: "TEST", Version: "1.2", Description: "Does as it is told.",
				Props: props.Schema{{Name: "size", Type: props.Int, Description: "A number.", Default: "5", Enum: []string{"5", "6"}}},
				Wants: []spi.Want{{Op: spi.OpSecretGet, Value: "db", Why: "to see"}},
			},
			JobType: func(context.Context, props.Values) (spi.JobType, error) { return spi.JobTypeFunc(execute), nil },
		},
		{
			Descriptor: spi.Descriptor{Kind: spi.KindShardingStrategy, Type: "TEST_SHARD", Description: "Gives everything to the last."},
			ShardingStrategy: func(context.Context, props.Values) (spi.ShardingStrategy, error) {
				return spi.ShardingStrategyFunc(shard), nil
			},
		},
		{
			Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: "TEST_HANDLER", Description: "Does what the message says."},
			ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
				return spi.ErrorHandlerFunc(handle), nil
			},
		},
		{
			Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "TEST_FLOW", Capabilities: []string{spi.CapabilityDataflow}},
			JobType:    func(context.Context, props.Values) (spi.JobType, error) { return flow{}, nil },
		},
		{
			Descriptor:  spi.Descriptor{Kind: spi.KindJobListener, Type: "TEST_LISTENER", Capabilities: []string{spi.CapabilityPerInstance, spi.CapabilityDistributeOnce}},
			JobListener: func(context.Context, props.Values) (spi.JobListener, error) { return listener{}, nil },
		},
		{
			Descriptor:  spi.Descriptor{Kind: spi.KindTracingSink, Type: "TEST_SINK"},
			TracingSink: func(context.Context, props.Values) (spi.TracingSink, error) { return sink{}, nil },
		},
		{
			Descriptor: spi.Descriptor{Kind: spi.KindErrorHandler, Type: "TEST_FLOW"},
			ErrorHandler: func(context.Context, props.Values) (spi.ErrorHandler, error) {
				return spi.ErrorHandlerFunc(handle), nil
			},
		},
		{
			// It is none.
			Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "TEST_LIAR", Capabilities: []string{spi.CapabilityDataflow}},
			JobType:    func(context.Context, props.Values) (spi.JobType, error) { return closing{}, nil },
		},
	}
}

func execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	command, argument, _ := strings.Cut(req.Context.JobParameter, ":")
	number, _ := strconv.Atoi(argument)
	switch command {
	case "say":
		return spi.ExecuteResponse{Message: argument}, nil
	case "context":
		return spi.ExecuteResponse{Message: string(wire.AppendContext(nil, req.Context))}, nil
	case "log":
		req.Services.Log(ctx, spi.LogRecord{Level: spi.LevelWarn, Line: argument})
	case "log flood":
		for range 40 {
			req.Services.Log(ctx, spi.LogRecord{Line: strings.Repeat("x", 60<<10)})
		}
	case "call":
		response, err := req.Services.Call(ctx, argument, []byte(`{"name":"db"}`))
		return spi.ExecuteResponse{Message: string(response)}, err
	case "leave":
		go req.Services.Call(ctx, "slow", nil)
		_, err := req.Services.Call(ctx, "until slow runs", nil)
		return spi.ExecuteResponse{}, err
	case "fail":
		return spi.ExecuteResponse{}, &spi.Error{Code: spi.Code(number), Message: "as told", Stack: "here", Property: "size", Retryable: true}
	case "panic":
		panic("as told")
	case "goexit":
		runtime.Goexit()
	case "bad error":
		return spi.ExecuteResponse{}, badError{}
	case "exit":
		fmt.Fprintln(os.Stderr, "last words")
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "crash":
		go panic("in the background")
		select {}
	case "wait":
		req.Services.Log(ctx, spi.LogRecord{Line: "waiting"})
		<-ctx.Done()
		return spi.ExecuteResponse{}, context.Cause(ctx)
	case "hang":
		req.Services.Log(ctx, spi.LogRecord{Line: "hanging"})
		select {}
	case "stop":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {}
	case "stderr":
		for range number {
			fmt.Fprintln(os.Stderr, strings.Repeat("e", 1000))
		}
		raw := os.NewFile(2, "stderr")
		for range number {
			fmt.Fprintln(raw, strings.Repeat("r", 1000))
		}
	case "last words":
		fmt.Fprintln(os.Stdout, "it was nice here")
		fmt.Fprintln(os.Stderr, "no licence found")
		os.Exit(9)
	case "huge":
		return spi.ExecuteResponse{Message: strings.Repeat("x", number)}, nil
	case "pid":
		return spi.ExecuteResponse{Message: strconv.Itoa(os.Getpid())}, nil
	case "child":
		child := exec.Command("/bin/sleep", "3600")
		child.Stdout, child.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
		if err := child.Start(); err != nil {
			return spi.ExecuteResponse{}, err
		}
		return spi.ExecuteResponse{Message: strconv.Itoa(child.Process.Pid)}, nil
	case "child and exit":
		// The child holds standard output and error.
		child := exec.Command("/bin/sh", "-c", "exec sleep 3600")
		child.Stdout, child.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
		if err := child.Start(); err != nil {
			return spi.ExecuteResponse{}, err
		}
		req.Services.Log(ctx, spi.LogRecord{Line: strconv.Itoa(child.Process.Pid)})
		os.Exit(7)
	case "env":
		return spi.ExecuteResponse{Message: strings.Join(os.Environ(), "\n")}, nil
	}
	return spi.ExecuteResponse{}, nil
}

func shard(ctx context.Context, req spi.ShardRequest) (spi.ShardResponse, error) {
	req.Services.Log(ctx, spi.LogRecord{Line: "sharding"})
	last := req.Instances[len(req.Instances)-1]
	out := map[string][]int{"previous": req.Previous["b"]}
	for _, item := range req.Items {
		out[last.ID+last.Labels["zone"]] = append(out[last.ID+last.Labels["zone"]], item.Item)
	}
	return spi.ShardResponse{Assignment: out}, nil
}

func handle(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	req.Services.Log(ctx, spi.LogRecord{Line: "handling"})
	if req.Error == nil {
		return spi.HandleErrorResponse{}, errors.New("no error")
	}
	return spi.HandleErrorResponse{Decision: spi.Decision(req.Error.Message)}, nil
}

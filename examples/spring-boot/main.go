// Command spring-boot runs the jobs of a file of ElasticJob's Spring Boot starter.
// The lesson: the file stays, but for the registry center and the Java classes;
// what the classes did, functions do.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/elasticjob-go/elasticjob"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start runs what the file of the folder says.
func start(ctx context.Context) error {
	config, problems := elasticjob.LoadFile("elasticjob.yaml")
	if len(problems) > 0 {
		return elasticjob.Problems(problems)
	}
	return run(ctx, config, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// run runs a node, and a web server which triggers its one-off job, for as long as
// ctx.
func run(ctx context.Context, config elasticjob.Config, logger *slog.Logger) (err error) {
	node, err := elasticjob.New(ctx, config, append(functions(), elasticjob.WithLogger(logger))...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Stop(context.WithoutCancel(ctx))) }()
	if err := node.Start(ctx); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:8080")
	if err != nil {
		return fmt.Errorf("listening for requests: %w", err)
	}
	server := &http.Server{Handler: controller(node), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving requests: %w", err)
	}
	return nil
}

// functions are what the beans of the two classes were.
func functions() []elasticjob.Option {
	return []elasticjob.Option{
		elasticjob.WithFunc("simpleJob", func(_ context.Context, job *elasticjob.Job) error {
			job.Info("working", "city", job.ShardingParameter)
			return nil
		}),
		elasticjob.WithDataflow("dataflowJob",
			func(_ context.Context, job *elasticjob.Job, _ string) (data []string, next string, err error) {
				return []string{"a letter from " + job.ShardingParameter}, "", nil
			},
			func(_ context.Context, job *elasticjob.Job, data []string) error {
				job.Info("processing", "data", data[0])
				return nil
			}),
	}
}

// controller runs the job manualScriptJob on GET /execute, as a controller with an
// injected OneOffJobBootstrap does.
func controller(node *elasticjob.Node) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /execute", func(w http.ResponseWriter, r *http.Request) {
		result, err := node.Trigger(r.Context(), elasticjob.Trigger{Job: "manualScriptJob", By: "controller"})
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		_, _ = fmt.Fprintf(w, "run %s: items %v\n", result.ID, result.Accepted)
	})
	return mux
}

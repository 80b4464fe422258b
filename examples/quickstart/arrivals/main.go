// The module arrivals is a plain program without the sdk: each sharding item
// sums up the flights that arrive at its part of the airports. Any program in
// any language that is compiled for WASI is a job in the same way: it gets
// the sharding context as JSON, writes to its standard output, and says by
// its exit status whether it succeeded.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/elasticjob-go/elasticjob/examples/quickstart/routes"
)

func main() {
	if err := sum(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func sum(args []string) error {
	var context struct {
		ShardingParameter string `json:"shardingParameter"`
	}
	// The context is the last argument, and on standard input too.
	if err := json.Unmarshal([]byte(args[len(args)-1]), &context); err != nil {
		return fmt.Errorf("reading the sharding context: %w", err)
	}
	total, err := routes.Arrivals(context.ShardingParameter)
	if err != nil {
		return err
	}
	fmt.Printf("arrivals part=%s routes=%d flights=%d\n", context.ShardingParameter, total.Routes, total.Flights)
	return nil
}

// Command elasticjob runs nodes of the elasticjob scheduler and helps with
// their configuration and their modules. See elasticjob help.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // zones must be known on machines without a zone database

	"github.com/elasticjob-go/elasticjob/cmd/elasticjob/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	return cli.Main(context.Background(), os.Args[1:], cli.Environment{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, LookupEnv: os.LookupEnv,
	})
}

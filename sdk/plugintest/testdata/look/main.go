// A plugin that looks at what it was granted, for the tests of package
// plugintest.
package main

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/elasticjob-go/elasticjob/sdk"
)

var _ = sdk.Register(sdk.JobType("LOOK", "Says what it sees.", look))

func main() { sdk.Main() }

var calls int

func look(_ context.Context, job *sdk.Job) error {
	data, err := os.ReadFile(job.JobParameter)
	if err != nil {
		return err
	}
	calls++
	job.Result = os.Getenv("REGION") + ", " + strconv.Itoa(time.Now().UTC().Year()) + ", " + string(data) + ", call " + strconv.Itoa(calls)
	return nil
}

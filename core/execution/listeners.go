package execution

import "github.com/elasticjob-go/elasticjob/spi"

// Listener is a job listener that each instance calls for its part of a run, the
// type name it goes by and the door that its calls have.
type Listener struct {
	Type     string
	Listener spi.JobListener
	Door     Door
}

// Package builtin lists the plugins that every node has. It is the one place
// in the tree that names them all.
package builtin

import (
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/log"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/fake"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/average"
	"github.com/elasticjob-go/elasticjob/spi"
)

// All returns the built-in plugins.
func All() []spi.Plugin {
	return []spi.Plugin{
		average.Plugin(),
		fake.Plugin(),
		log.Plugin(),
	}
}

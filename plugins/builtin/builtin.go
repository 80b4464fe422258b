// Package builtin lists the plugins that every node has. It is the one place
// in the tree that names them all.
package builtin

import (
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/dingtalk"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/email"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/ignore"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/log"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/throw"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/wechat"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/fake"
	httpjob "github.com/elasticjob-go/elasticjob/plugins/jobtypes/http"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/script"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/average"
	"github.com/elasticjob-go/elasticjob/spi"
)

// All returns the built-in plugins.
func All() []spi.Plugin {
	return []spi.Plugin{
		average.Plugin(),
		dingtalk.Plugin(),
		email.Plugin(),
		fake.Plugin(),
		httpjob.Plugin(),
		ignore.Plugin(),
		log.Plugin(),
		script.Plugin(),
		throw.Plugin(),
		wechat.Plugin(),
	}
}

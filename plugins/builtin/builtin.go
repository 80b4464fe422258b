// Package builtin lists the plugins that every node has. It is the one place
// in the tree that names them all.
package builtin

import (
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/dingtalk"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/email"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/ignore"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/log"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/slack"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/throw"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/webhook"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/wechat"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/fake"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/file"
	httpjob "github.com/elasticjob-go/elasticjob/plugins/jobtypes/http"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/script"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/sqljob"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/average"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/broadcast"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/consistenthash"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/first"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/label"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/last"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/leastbusy"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/odevity"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/random"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/roundrobin"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/singlebalance"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/sticky"
	"github.com/elasticjob-go/elasticjob/plugins/sharding/weighted"
	"github.com/elasticjob-go/elasticjob/spi"
)

// All returns the built-in plugins.
func All() []spi.Plugin {
	return []spi.Plugin{
		average.Plugin(),
		broadcast.Plugin(),
		consistenthash.Plugin(),
		dingtalk.Plugin(),
		email.Plugin(),
		fake.Plugin(),
		file.Plugin(),
		first.Plugin(),
		httpjob.Plugin(),
		ignore.Plugin(),
		label.Plugin(composable()...),
		last.Plugin(),
		leastbusy.Plugin(),
		log.Plugin(),
		odevity.Plugin(),
		random.Plugin(),
		roundrobin.Plugin(),
		script.Plugin(),
		singlebalance.Plugin(),
		slack.Plugin(),
		sqljob.Plugin(),
		sticky.Plugin(),
		throw.Plugin(),
		webhook.Plugin(),
		wechat.Plugin(),
		weighted.Plugin(),
	}
}

// composable are the strategies that LABEL can spread items by.
func composable() []spi.Plugin {
	return []spi.Plugin{
		average.Plugin(),
		consistenthash.Plugin(),
		first.Plugin(),
		last.Plugin(),
		leastbusy.Plugin(),
		odevity.Plugin(),
		roundrobin.Plugin(),
		sticky.Plugin(),
		weighted.Plugin(),
	}
}

// Command error-handlers is a plugin that brings error handlers. Built for this
// machine it is a program, built for wasip1 a module, and the handlers are the
// very ones that every node has built in: a plugin is a value, which does not
// know where it runs.
package main

import (
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/dingtalk"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/slack"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/webhook"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/wechat"
	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
)

var (
	_ = sdk.Register(own(dingtalk.Plugin()))
	_ = sdk.Register(own(slack.Plugin()))
	_ = sdk.Register(own(webhook.Plugin()))
	_ = sdk.Register(own(wechat.Plugin()))
)

func main() { sdk.Main() }

// own gives the handler a type name of its own: a node has each type once, and
// WECHAT and the others are taken.
func own(plugin spi.Plugin) spi.Plugin {
	plugin.Descriptor.Type = "OWN_" + plugin.Descriptor.Type
	return plugin
}

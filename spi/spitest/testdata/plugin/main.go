// The plugins of the conformance suite as a process or a module.
package main

import (
	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
)

var registered = register(subject.Plugins())

func main() {
	if len(registered) > 0 {
		sdk.Main()
	}
}

func register(plugins []spi.Plugin) []spi.Plugin {
	for _, p := range plugins {
		sdk.Register(p)
	}
	return plugins
}

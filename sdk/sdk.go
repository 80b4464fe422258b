package sdk

import (
	"slices"
	"sync"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Register adds the plugin to those that this program offers and returns it.
// It is called while the program starts, from a package variable or an init
// function. The host checks the plugins when it asks for their descriptions.
func Register(plugin spi.Plugin) spi.Plugin {
	program.add(plugin)
	return plugin
}

// program is what Register filled: the one list of this guest or process.
//
//nolint:gochecknoglobals // package variables of the author fill it
var program list

// list is the plugins of a program. It is safe for concurrent use.
type list struct {
	mu sync.Mutex

	plugins []spi.Plugin
}

func (l *list) add(plugin spi.Plugin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plugins = append(l.plugins, plugin)
}

// all returns the plugins in the order of registration.
func (l *list) all() []spi.Plugin {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.plugins)
}

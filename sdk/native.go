//go:build !wasip1

package sdk

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Main is the main function of a plugin. This version hosts plugins as WASM
// modules only: a native program says so, and how to build it, and exits with
// status 1.
func Main() {
	explain(os.Stderr, &program)
	os.Exit(1)
}

func explain(w io.Writer, l *list) {
	plugins := l.all()
	for _, p := range plugins {
		if err := p.Check(); err != nil {
			fmt.Fprintf(w, "this elasticjob plugin cannot be used: %v\n", err)
			return
		}
	}
	names := make([]string, len(plugins))
	for i, p := range plugins {
		names[i] = kindName(p.Descriptor.Kind) + " " + p.Descriptor.Type
	}
	fmt.Fprintf(w, `this is an elasticjob plugin with %s; it is not run by hand.
Build it as a module and list that under plugins in the node's file:

	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags '-s -w' -o plugin.wasm .
`, strings.Join(names, ", "))
}

func kindName(kind spi.Kind) string {
	switch kind {
	case spi.KindJobType:
		return "job type"
	case spi.KindShardingStrategy:
		return "sharding strategy"
	case spi.KindErrorHandler:
		return "error handler"
	default:
		return string(kind)
	}
}

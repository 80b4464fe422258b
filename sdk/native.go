//go:build !wasip1

package sdk

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/elasticjob-go/elasticjob/sdk/internal/native"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
)

// Main is the main function of a plugin. In a program that a node has started
// it serves the plugins that are registered until the node asks the program to
// end, and returns. A program that was started by hand says what it is and how
// it is used, and exits with status 1.
func Main() {
	plugins := program.all()
	//nolint:forbidigo // Main stands for the author's main function
	if os.Getenv(pluginpb.CookieKey) != pluginpb.CookieValue {
		path, err := os.Executable()
		if err != nil {
			path = os.Args[0]
		}
		_, _ = io.WriteString(os.Stderr, explanation(path, plugins))
		os.Exit(1)
	}
	native.Serve(os.Stdin, plugins)
}

// explanation is for a person who has started the program at path.
func explanation(path string, plugins []spi.Plugin) string {
	if len(plugins) == 0 {
		return "this elasticjob plugin cannot be used: nothing is registered; call sdk.Register in a package variable\n"
	}
	var offers strings.Builder
	type name struct {
		kind spi.Kind
		typ  string
	}
	seen := make(map[name]bool)
	for _, p := range plugins {
		if err := p.Check(); err != nil {
			return fmt.Sprintf("this elasticjob plugin cannot be used: %v\n", err)
		}
		n := name{p.Descriptor.Kind, p.Descriptor.Type}
		if seen[n] {
			return fmt.Sprintf("this elasticjob plugin cannot be used: the %s %s is registered twice\n", n.kind, n.typ)
		}
		seen[n] = true
		fmt.Fprintf(&offers, "\t%s %s", p.Descriptor.Kind, p.Descriptor.Type)
		if p.Descriptor.Description != "" {
			fmt.Fprintf(&offers, ": %s", p.Descriptor.Description)
		}
		offers.WriteByte('\n')
	}
	return fmt.Sprintf(`this is an elasticjob plugin; it is not run by hand. It offers

%s
A node starts it when its file lists it:

	elasticjob:
	  plugins:
	    - process: %s

The same source is a WASM module when it is built with

	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags '-s -w' -o plugin.wasm .

and listed as wasm instead of process.
`, offers.String(), path)
}

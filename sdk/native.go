//go:build !wasip1

package sdk

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Main is the main function of a plugin. This version hosts plugins as WASM
// modules only: a native program says so, and how to build it, and exits with
// status 1.
func Main() {
	_, _ = io.WriteString(os.Stderr, explanation(&program))
	os.Exit(1)
}

func explanation(l *list) string {
	var names []string
	for _, p := range l.all() {
		if err := p.Check(); err != nil {
			return fmt.Sprintf("this elasticjob plugin cannot be used: %v\n", err)
		}
		names = append(names, string(p.Descriptor.Kind)+" "+p.Descriptor.Type)
	}
	return fmt.Sprintf(`this is an elasticjob plugin with %s; it is not run by hand.
Build it as a module and list that under plugins in the node's file:

	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags '-s -w' -o plugin.wasm .
`, strings.Join(names, ", "))
}

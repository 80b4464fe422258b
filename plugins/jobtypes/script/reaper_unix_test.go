//go:build unix

package script_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/script"
	"github.com/elasticjob-go/elasticjob/spi"
)

// varNode makes the test program a node that runs one script and nothing else:
// its value is the command line.
const varNode = "SCRIPT_TEST_NODE"

// teller tells on standard output that a script has written something.
type teller struct{}

func (teller) Log(_ context.Context, record spi.LogRecord) {
	_, _ = os.Stdout.WriteString(record.Line + "\n")
}

func (teller) Call(context.Context, string, []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeUnsupported, "none")
}

// beNode runs the script of the node and returns its exit status.
func beNode(line string) int {
	plugin := script.Plugin()
	values, _ := plugin.Descriptor.Props.Resolve(map[string]string{script.PropCommandLine: line})
	job, err := plugin.JobType(context.Background(), values)
	if err == nil {
		_, err = job.Execute(context.Background(), spi.ExecuteRequest{Services: teller{}})
	}
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	return 0
}

// TestScriptsEndWithTheNode kills the node while it runs a script with
// descendants that ignore SIGTERM.
func TestScriptsEndWithTheNode(t *testing.T) {
	t.Parallel()
	path, gone := lifeline(t)
	node := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	node.Env = append(os.Environ(), varNode+"=testdata/stubborn.sh "+path)
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "started" {
		t.Errorf("the node says %q, %v, want that the script has started", line, err)
	}
	if err := node.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = node.Wait() // it was killed
	select {
	case <-gone:
	case <-time.After(longest):
		t.Error("a process of the script goes on without the node")
	}
}

package script_test

import (
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/script"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestLimitOfTheMemory(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		`perl -e '$x = "a" x (200 << 20); print length $x'`,
		`python3 -c 'print(len(bytearray(200 << 20)))'`,
	} {
		if _, err := execute(t, shell(command)); err != nil {
			t.Errorf("Execute(%s) without a limit = %v, want nil", command, err)
		}
		_, err := execute(t, shell(command, script.PropLimitMemory, "100MiB"))
		if got := spi.AsError(err); got == nil || !strings.Contains(got.Message, "(script.limit.memory is 100 MiB); its last lines:\n") || !strings.Contains(strings.ToLower(got.Message), "memory") {
			t.Errorf("Execute(%s) with a limit = %v, want a failure that names it", command, err)
		}
	}
}

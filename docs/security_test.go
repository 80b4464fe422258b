package docs_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestGrantsDoWhatTheirTableSays reads the elements of grants.http in the
// security model, and what they are said to allow and not to allow.
func TestGrantsDoWhatTheirTableSays(t *testing.T) {
	t.Parallel()
	inMarks := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(section(t, page(t, "docs/plugins/security.md"), "Grants")) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(line, "| `") {
			continue
		}
		rows++
		grant := inMarks.FindStringSubmatch(cells[1])[1]
		if err := hostcall.CheckHTTPGrant(grant); err != nil {
			t.Errorf("CheckHTTPGrant(%q) = %v, want nil", grant, err)
		}
		for i, want := range []bool{true, false} {
			requests := inMarks.FindAllStringSubmatch(cells[2+i], -1)
			if len(requests) == 0 {
				t.Errorf("the row of %q has no request in column %d", grant, 2+i)
			}
			for _, request := range requests {
				if got := hostcall.Covers(spi.Grants{HTTP: []string{grant}}, spi.Want{Op: spi.OpHTTPRequest, Value: request[1]}); got != want {
					t.Errorf("grant %q covers %q = %v, want %v", grant, request[1], got, want)
				}
			}
		}
	}
	if rows < 5 {
		t.Errorf("docs/plugins/security.md has %d rows of grants, want more", rows)
	}
}

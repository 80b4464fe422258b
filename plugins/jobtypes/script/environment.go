package script

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// The variables that tell a program about its item.
const (
	prefixOurs = "ELASTICJOB_"
	varContext = prefixOurs + "CONTEXT"
)

// inheritedNames are the variables of the node that every program gets: without
// them many do not work, and none is a place for secrets. Those of Windows have
// other names.
var inheritedNames = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM",
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERNAME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH",
	"APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "COMMONPROGRAMFILES", "COMPUTERNAME",
	"NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "OS",
}

// environment returns what a program of these properties finds in its
// environment, without what tells about the item. The rest of the node's
// environment stays with the node, because secrets are kept there.
func environment(values props.Values) ([]string, error) {
	more := values.List(PropEnv)
	for _, name := range more {
		if err := checkName(PropEnv, name); err != nil {
			return nil, err
		}
	}
	var environ []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		same := func(other string) bool { return sameName(name, other) }
		if strings.HasPrefix(name, "LC_") || slices.ContainsFunc(inheritedNames, same) || slices.ContainsFunc(more, same) {
			environ = append(environ, pair)
		}
	}
	for _, property := range slices.Sorted(maps.Keys(values)) {
		name, ours := strings.CutPrefix(property, prefixEnv)
		if !ours {
			continue
		}
		if err := checkName(property, name); err != nil {
			return nil, err
		}
		if strings.Contains(values[property], "\x00") {
			return nil, invalid(property, "holds a NUL byte, which no variable can have")
		}
		environ = append(environ, name+"="+values[property])
	}
	return environ, nil
}

func checkName(property, name string) error {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		return invalid(property, "names no variable: "+strconv.Quote(name))
	case strings.HasPrefix(strings.ToUpper(name), prefixOurs):
		return invalid(property, "names "+name+", but "+prefixOurs+"… are set by the node")
	}
	return nil
}

// contextVariables tell about the item.
func contextVariables(c spi.ShardingContext, text string) []string {
	variables := []string{
		varContext + "=" + text,
		prefixOurs + "JOB_NAME=" + c.JobName,
		prefixOurs + "TASK_ID=" + c.TaskID,
		prefixOurs + "SHARDING_TOTAL_COUNT=" + strconv.Itoa(c.ShardingTotalCount),
		prefixOurs + "JOB_PARAMETER=" + c.JobParameter,
		prefixOurs + "SHARDING_ITEM=" + strconv.Itoa(c.ShardingItem),
		prefixOurs + "SHARDING_PARAMETER=" + c.ShardingParameter,
		prefixOurs + "RUN_ID=" + c.RunID,
		prefixOurs + "FIRE_TIME=" + instant(c.FireTime),
		prefixOurs + "EXECUTION_SOURCE=" + string(c.ExecutionSource),
		prefixOurs + "ATTEMPT=" + strconv.Itoa(c.Attempt),
		prefixOurs + "FENCING_TOKEN=" + strconv.FormatInt(c.FencingToken, 10),
	}
	if !c.Deadline.IsZero() {
		variables = append(variables, prefixOurs+"DEADLINE="+instant(c.Deadline))
	}
	for i, v := range variables {
		// The context has it as it is.
		variables[i] = strings.ReplaceAll(v, "\x00", "")
	}
	return variables
}

// instant writes an instant as the context does.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

package sqljob

import (
	"fmt"
	"slices"
	"strings"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/internal/sqltext"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// parameterNames are the parameters of statements: the context of the item by
// the names of its JSON.
var parameterNames = [...]string{
	"jobName", "taskId", "shardingTotalCount", "jobParameter", "shardingItem", "shardingParameter", "runId", "fireTime",
	"executionSource", "attempt", "fencingToken",
}

// checkParameter refuses names that are none of a parameter.
func checkParameter(name string) error {
	for _, known := range parameterNames {
		if name == known {
			return nil
		}
	}
	hint := "there are " + strings.Join(parameterNames[:], ", ")
	if near, ok := props.Suggest(name, parameterNames[:]); ok {
		hint = "did you mean :" + near + "?"
	}
	return fmt.Errorf("has the parameter :%s, which does not exist (a colon that begins none has a space behind it); %s", name, hint)
}

// parameter returns the value of a parameter: a string, an int64 or a time.
func parameter(name string, c spi.ShardingContext) any {
	switch name {
	case "jobName":
		return c.JobName
	case "taskId":
		return c.TaskID
	case "shardingTotalCount":
		return int64(c.ShardingTotalCount)
	case "jobParameter":
		return c.JobParameter
	case "shardingItem":
		return int64(c.ShardingItem)
	case "shardingParameter":
		return c.ShardingParameter
	case "runId":
		return c.RunID
	case "fireTime":
		return c.FireTime.UTC()
	case "executionSource":
		return string(c.ExecutionSource)
	case "attempt":
		return int64(c.Attempt)
	case "fencingToken":
		return c.FencingToken
	default:
		return nil
	}
}

// arguments are the values of a statement's parameters as the driver takes them.
func arguments(s sqltext.Statement, c spi.ShardingContext, p product) []any {
	values := make([]any, len(s.Parameters))
	for i, name := range s.Parameters {
		values[i] = p.value(parameter(name, c))
	}
	return values
}

// secretive are the parameters that an operator writes and whose values stay out
// of errors.
func secretive(c spi.ShardingContext) map[string]string {
	return map[string]string{"jobParameter": c.JobParameter, "shardingParameter": c.ShardingParameter}
}

// shortest is the length in bytes from which on a value is taken out of an error
// wherever it stands; a shorter one only in quotes.
const shortest = 4

// withoutValues puts the names of parameters where a message shows their values.
// Parameters that the statements do not have are in no message: a table that is
// called as the value of one is a table.
func withoutValues(message string, c spi.ShardingContext, statements []sqltext.Statement) string {
	for name, value := range secretive(c) {
		if value == "" || !slices.ContainsFunc(statements, func(s sqltext.Statement) bool { return slices.Contains(s.Parameters, name) }) {
			continue
		}
		if len(value) >= shortest {
			message = strings.ReplaceAll(message, value, ":"+name)
			continue
		}
		for _, quote := range []string{`"`, `'`} {
			message = strings.ReplaceAll(message, quote+value+quote, ":"+name)
		}
	}
	return message
}

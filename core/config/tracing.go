package config

import (
	"github.com/elasticjob-go/elasticjob/core/job"
)

// typeRDB is the tracing of ElasticJob, which keeps the history in a database.
const typeRDB = "RDB"

// Tracing says who gets the history of executions.
type Tracing struct {
	// Type names the tracing sink, a plugin.
	Type string
	// Props are the properties of the sink.
	Props map[string]string
}

// readTracing reads the section, nil if nothing is in it.
func (r *reader) readTracing(found []entry) *Tracing {
	g := r.scatter([]string{keyTracing}, r.layout.tracing, r.open([]string{keyTracing}, found))
	t := &Tracing{}
	g.str(keySinkType, &t.Type)
	t.Props = g.free(keyProps)
	if t.Type == "" && len(t.Props) == 0 {
		return nil
	}
	return t
}

func (k *checks) checkTracing() {
	t := k.Tracing
	if t == nil {
		return
	}
	if t.Type == typeRDB {
		k.add(ruleNotAvailable, k.label([]string{keyTracing, keySinkType})+" is RDB, which is not available in this version: name a tracing sink of a plugin", keyTracing, keySinkType)
		return
	}
	k.require(t.Type != "", "the type name of a tracing sink", keyTracing, keySinkType)
	k.must(t.Type == "" || job.IsType(t.Type), ruleType, job.AllowedType,
		t.Type, keyTracing, keySinkType)
}

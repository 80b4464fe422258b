package elasticjob

import (
	"slices"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/job"
)

// gaps are the places of a configuration that are known to be wrong, so that
// what follows from them is not a problem of its own.
type gaps struct {
	// values are where a value is wrong, sections where a job or its properties
	// begin: a problem there is of something missing, and says what.
	values, sections map[place]bool
	// names are quoted type names that are malformed or missing.
	names []string
	// refused are what was said of modules under plugins, which jobs name too.
	refused []string
	// unstarted names the program, or several, that may bring types and were not
	// started; empty if there is none.
	unstarted string
}

type place struct{ line, column int }

func gapsOf(c Config, problems Problems) gaps {
	g := gaps{values: make(map[place]bool), sections: make(map[place]bool)}
	for _, p := range problems {
		g.values[place{p.Line, p.Column}] = true
	}
	for _, j := range c.Jobs {
		for name := range j.Props {
			if path := []string{"jobs", j.Name, "props", name}; c.Broken(path...) {
				p := c.Problem("", "", path...)
				g.values[place{p.Line, p.Column}] = true
			}
		}
		for _, path := range [][]string{{"jobs", j.Name}, {"jobs", j.Name, "props"}} {
			at := c.At(path...)
			g.values[place{at.Line, at.Column}] = c.Broken(path...)
			g.sections[place{at.Line, at.Column}] = !c.Broken(path...)
		}
		for _, name := range slices.Concat([]string{j.Type, j.ShardingStrategyType}, j.ErrorHandlerTypes, j.ListenerTypes) {
			if !job.IsType(name) {
				g.names = append(g.names, strconv.Quote(name))
			}
		}
	}
	g.values[place{}] = false // of a configuration without a file
	return g
}

// explain says whether a problem that the engine finds follows from another one.
func (g gaps) explain(p Problem) bool {
	if p.Rule == host.RuleUnknownType {
		return slices.ContainsFunc(g.names, func(name string) bool { return strings.Contains(p.Message, " "+name+";") })
	}
	at := place{p.Line, p.Column}
	return g.values[at] && !g.sections[at] ||
		slices.ContainsFunc(g.refused, func(said string) bool { return strings.HasSuffix(p.Message, said) })
}

// excuse says whether a problem may be none, because a program that was not
// started may bring the type.
func (g gaps) excuse(p Problem) bool { return g.unstarted != "" && p.Rule == host.RuleUnknownType }

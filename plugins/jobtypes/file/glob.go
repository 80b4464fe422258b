package file

import (
	"errors"
	"path"
	"strings"
)

// glob is a pattern for names of files relative to a directory, with slashes.
type glob struct {
	// parts are matched one by one, as [path.Match] does; ** is any number of
	// directories.
	parts []string
	// isName says that the pattern has no slash and is about the last part only.
	isName bool
}

func newGlob(pattern string) (glob, error) {
	parts := strings.Split(pattern, "/")
	for _, part := range parts {
		if _, err := path.Match(part, ""); err != nil || part == "" || part == ".." || part == "." {
			return glob{}, errors.New("is no pattern such as *.csv or 2026/**/*.log")
		}
	}
	return glob{parts: parts, isName: len(parts) == 1 && parts[0] != "**"}, nil
}

func (g glob) matches(name string) bool {
	if g.isName {
		return matchesPart(g.parts[0], path.Base(name))
	}
	// may holds, for each number of parts, whether they match what was read.
	may := make([]bool, len(g.parts)+1)
	may[0] = true
	g.skip(may)
	for part := range strings.SplitSeq(name, "/") {
		next := make([]bool, len(may))
		for i, ok := range may[:len(g.parts)] {
			switch {
			case !ok:
			case g.parts[i] == "**":
				next[i] = true
			case matchesPart(g.parts[i], part):
				next[i+1] = true
			}
		}
		g.skip(next)
		may = next
	}
	return may[len(g.parts)]
}

// skip lets each ** stand for nothing.
func (g glob) skip(may []bool) {
	for i, part := range g.parts {
		may[i+1] = may[i+1] || may[i] && part == "**"
	}
}

// matchesPart says that a part matches; newGlob has checked the pattern.
func matchesPart(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

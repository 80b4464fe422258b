package hostcall

import (
	"path"
	"slices"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Operations of wants that are no calls: what a plugin is given at its start.
const (
	wantEnv    = "env"
	wantDir    = "dir"
	wantClock  = "clock"
	wantRandom = "random"
)

// Covers says whether what a plugin wants is granted. What the value of a want
// leaves open is not asked for: without a value any grant of its kind is
// enough, and a host without method and scheme is covered by a grant for one
// of them.
//
// The values are: of http.request, a grant as [CheckHTTPGrant] describes it or
// a URL, perhaps with methods before it; of secret.get, the name of a secret;
// of env, that of a variable; of dir, a path in the module, with "rw " before
// it to write there; of clock and random, "real". Operations that need no
// grant are covered, unknown ones are not.
func Covers(g spi.Grants, w spi.Want) bool {
	switch w.Op {
	case spi.OpHTTPRequest:
		return coversHTTP(g.HTTP, w.Value)
	case spi.OpSecretGet:
		return coversName(g.Secrets, w.Value)
	case wantEnv:
		return coversName(g.Env, w.Value)
	case wantDir:
		return coversDir(g.Dirs, w.Value)
	case wantClock:
		return g.Clock == "" || g.Clock == spi.ClockReal
	case wantRandom:
		return g.Random == "" || g.Random == spi.RandomReal
	case spi.OpCheckpointSave, spi.OpProgressReport, spi.OpShouldStop:
		return true
	default:
		return false
	}
}

func coversName(granted []string, name string) bool {
	if name == "" {
		return len(granted) > 0
	}
	return slices.Contains(granted, name)
}

func coversDir(granted []spi.Dir, value string) bool {
	where, writes := strings.CutPrefix(value, "rw ")
	return slices.ContainsFunc(granted, func(d spi.Dir) bool {
		if writes && !d.Writable {
			return false
		}
		guest, wanted := path.Clean("/"+d.Guest), path.Clean("/"+where)
		return where == "" || guest == wanted || guest == "/" || strings.HasPrefix(wanted, guest+"/")
	})
}

func coversHTTP(entries []string, value string) bool {
	var granted []httpGrant
	for _, text := range entries {
		if g, err := parseHTTPGrant(text); err == nil {
			granted = append(granted, g)
		}
	}
	if value == "" {
		return len(granted) > 0
	}
	want, err := parseHTTPGrant(withoutPath(value))
	if err != nil {
		return false
	}
	methods, schemes := want.methods, []string{want.scheme}
	if want.scheme == "" {
		schemes = []string{"https", "http"}
	}
	if len(methods) == 0 {
		methods = []string{""}
	}
	for _, method := range methods {
		if !slices.ContainsFunc(schemes, func(scheme string) bool { return want.coveredBy(granted, method, scheme) }) {
			return false
		}
	}
	return true
}

// withoutPath cuts what follows the host of a URL.
func withoutPath(value string) string {
	at := strings.Index(value, "://")
	if at < 0 {
		return value
	}
	at += len("://")
	if end := strings.IndexAny(value[at:], "/?#"); end >= 0 {
		return value[:at+end]
	}
	return value
}

// coveredBy says whether one of the granted entries is for all that the want
// is for, with one method, or any if it is empty, and one scheme.
func (g httpGrant) coveredBy(granted []httpGrant, method, scheme string) bool {
	covers := func(by httpGrant) bool {
		if method != "" && !by.allowsMethod(method) || !by.allowsScheme(scheme) {
			return false
		}
		switch {
		case by.port == anyPort:
		case g.port == anyPort, g.port == 0 && !by.allowsPort(scheme, defaultPort(scheme)), g.port > 0 && !by.allowsPort(scheme, g.port):
			return false
		}
		switch {
		case g.network.IsValid():
			return by.network.IsValid() && by.network.Bits() <= g.network.Bits() && by.network.Contains(g.network.Addr()) ||
				by.every && g.network.IsSingleIP() && isPublic(g.network.Addr())
		case g.name == localhost:
			return by.name == localhost
		case g.every:
			return by.every
		case g.below != "":
			return by.every || by.below != "" && strings.HasSuffix(g.below, by.below)
		default:
			return by.allowsHost(target{name: g.name})
		}
	}
	return slices.ContainsFunc(granted, covers)
}

package elasticjob_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// modulePath is the import path of the module's root.
const modulePath = "github.com/elasticjob-go/elasticjob"

// source says in which files an import stands.
type source string

// The sources of imports.
const (
	code         source = "code"
	insideTest   source = "test"          // of the package itself
	externalTest source = "external test" // of package x_test
)

// importRule is one line of the import table in docs/architecture.md.
type importRule struct {
	// who is a package, or with a "/..." at its end a folder and all under it.
	who string
	// may are the packages of this module that its code may import, written in
	// the same way.
	may []string
	// tests and external are what its tests may import as well, and what only
	// those in package x_test may.
	tests, external []string
	// others are the modules of others that its code may import; "..." is any.
	others []string
}

// importRules is the table. The first line that fits a package is its rule.
func importRules() []importRule {
	spi := []string{"spi", "spi/props"}
	wire := append(slices.Clone(spi), "spi/wire")
	wireAndProto := append(slices.Clone(wire), "spi/pluginpb")
	anyOther := []string{"..."}
	return []importRule{
		{who: "spi/props"},
		// It knows of the system only.
		{who: "internal/reaper"},
		{who: "spi", may: []string{"spi/props"}},
		{who: "spi/wire", may: spi},
		{who: "spi/ops", may: wire},
		{who: "spi/pluginpb", others: []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},
		// The plugins that its tables are about are built as guests too.
		{who: "spi/spitest/subject", may: append(slices.Clone(wire), "spi/ops")},
		{who: "spi/spitest", may: append(slices.Clone(wire), "spi/ops", "spi/spitest/subject"), external: []string{"runtime/...", "."}, others: []string{"github.com/google/go-cmp"}},
		// It serves host operations, whose messages are in spi/wire.
		{who: "core/hostcall", may: wire, tests: []string{"core/..."}},
		// Of core, a package imports only those before it: see corePackages.
		{who: "core/...", may: spi, tests: []string{"core/..."}, external: []string{"plugins/..."}, others: anyOther},
		{who: "runtime/process", may: append(slices.Clone(wireAndProto), "internal/reaper"), others: anyOther},
		{who: "runtime/...", may: wireAndProto, others: anyOther},
		{who: "plugins/builtin", may: append(slices.Clone(spi), "plugins/..."), external: []string{"core/...", "spi/spitest"}},
		// Its tests compose it with others, as plugins/builtin does.
		{who: "plugins/sharding/label", may: append(slices.Clone(spi), "spi/ops"), external: []string{"core/...", "plugins/sharding/..."}, others: anyOther},
		{who: "plugins/jobtypes/script", may: append(slices.Clone(spi), "spi/ops", "internal/reaper"), external: []string{"core/..."}, others: anyOther},
		// An internal package of the same kind is allowed too: see isOfSameKind.
		{who: "plugins/...", may: append(slices.Clone(spi), "spi/ops"), external: []string{"core/..."}, others: anyOther},
		// The native half of the sdk, of which no guest is built.
		{who: "sdk/internal/native", may: wireAndProto, others: []string{"github.com/hashicorp/go-plugin", "github.com/hashicorp/go-hclog", "google.golang.org/grpc", "google.golang.org/protobuf"}},
		// It is linked into tests of authors only.
		{who: "sdk/plugintest", may: append(slices.Clone(wire), "spi/ops", "runtime/process", "runtime/wasm"), others: []string{"github.com/google/go-cmp"}},
		{who: "sdk/...", may: append(slices.Clone(wireAndProto), "spi/ops", "sdk/..."), external: []string{"runtime/..."}},
		{who: "cmd/...", may: []string{"..."}, others: anyOther},
		{who: "examples/...", may: []string{"..."}, others: anyOther},
		{who: "docs", external: []string{"..."}},
		{who: "chaos", external: []string{"..."}},
		{who: ".", may: []string{"core/...", "runtime/...", "plugins/...", "spi/...", "sdk"}, others: anyOther},
	}
}

// corePackages are the packages of core in their order, the lowest first.
func corePackages() []string {
	return []string{
		"service", "event", "cron", "job", "registry/embedded/script", "registry/embedded", "registry/redistest", "registry/dial", "registry", "hostcall", "catalog", "config", "schedule",
		"execution", "coordinator", "tracing", "host", "server", "console",
	}
}

// brokenRule returns the rule that an import breaks, "" if it breaks none.
// Packages of this module are written relative to it, its root as ".".
func brokenRule(importer, imported string, ours bool, from source) string {
	rules := importRules()
	i := slices.IndexFunc(rules, func(r importRule) bool { return matches(r.who, importer) })
	if i < 0 {
		return "the import table has a line for every package"
	}
	r := rules[i]
	if !ours {
		if from != code || slices.ContainsFunc(r.others, func(o string) bool { return o == "..." || isUnder(o, imported) }) {
			return ""
		}
		if len(r.others) == 0 {
			return r.who + " takes no dependency"
		}
		return fmt.Sprintf("%s takes no dependency but %v", r.who, r.others)
	}
	switch {
	case from == externalTest && imported == importer:
		return ""
	case from == code && isTestPackage(imported) && !isTestPackage(importer):
		return "a package whose name ends in test is imported only by tests"
	case isUnder("cmd", imported) && !isUnder("cmd", importer), isUnder("examples", imported) && !isUnder("examples", importer):
		return "nobody imports commands and examples"
	}
	may := slices.Clone(r.may)
	if from != code {
		may = append(may, r.tests...)
		// Tests of any package may use the test packages beside it.
		if isTestPackage(imported) && isUnder(path.Dir(imported), importer) {
			return ""
		}
	}
	if from == externalTest {
		may = append(may, r.external...)
	}
	if slices.ContainsFunc(may, func(m string) bool { return matches(m, imported) }) {
		return ""
	}
	if isUnder("core", importer) && isUnder("core", imported) {
		return brokenOrder(importer, imported)
	}
	if isUnder("plugins", importer) && isOfSameKind(importer, imported) {
		return ""
	}
	return fmt.Sprintf("%s of %s imports of ours only %v", from, r.who, may)
}

// brokenOrder holds the order of core's packages.
func brokenOrder(importer, imported string) string {
	low, high := coreRank(imported), coreRank(importer)
	switch {
	case low < 0 || high < 0:
		return "the order of core has a place for every package"
	case low < high, low == high && strings.HasPrefix(importer, imported+"/"):
		return ""
	}
	return "a package of core imports only those before it in the order " + strings.Join(corePackages(), ", ")
}

// coreRank is the place of a package of core, -1 if it has none. What stands
// below a package has its place.
func coreRank(pkg string) int {
	name := strings.TrimPrefix(pkg, "core/")
	return slices.IndexFunc(corePackages(), func(p string) bool { return isUnder(p, name) })
}

// isOfSameKind says that imported is an internal package of the kind of plugin
// that importer is: plugins/KIND/internal/....
func isOfSameKind(importer, imported string) bool {
	kind, _, ok := strings.Cut(strings.TrimPrefix(importer, "plugins/"), "/")
	return ok && isUnder("plugins/"+kind+"/internal", imported)
}

func isTestPackage(pkg string) bool { return strings.HasSuffix(path.Base(pkg), "test") }

// isUnder says that pkg is the folder or something in it.
func isUnder(folder, pkg string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// matches says that a package fits a pattern, of which "/..." at the end stands
// for everything under it and "..." alone for all.
func matches(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if folder, ok := strings.CutSuffix(pattern, "/..."); ok {
		return isUnder(folder, pkg)
	}
	return pattern == pkg
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, system := range []string{"linux", "darwin", "windows", "wasip1"} {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			for _, p := range listPackages(t, system, "./...") {
				importer := relative(p.ImportPath)
				for from, imports := range map[source][]string{code: p.Imports, insideTest: p.TestImports, externalTest: p.XTestImports} {
					for _, imported := range imports {
						ours := isUnder(modulePath, imported)
						if !ours && isStandard(imported) {
							continue
						}
						if rule := brokenRule(importer, relative(imported), ours, from); rule != "" {
							t.Errorf("%s of %s imports %s, but %s", from, importer, relative(imported), rule)
						}
					}
				}
				if name := path.Base(importer); slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "base"}, name) {
					t.Errorf("package %s is called %s, which says nothing about its job", importer, name)
				}
			}
		})
	}
}

// TestGuestsStaySmall holds what of the standard library is linked into a guest:
// formatting, reflection and the network make modules several times as large.
func TestGuestsStaySmall(t *testing.T) {
	t.Parallel()
	forbidden := []string{"fmt", "log", "net", "reflect", "regexp", "encoding/json", "encoding/gob", "encoding/xml", "encoding/binary", "text/template"}
	for _, root := range []string{"spi", "spi/props", "spi/wire", "sdk"} {
		t.Run(root, func(t *testing.T) {
			t.Parallel()
			imports := make(map[string][]string)
			for _, p := range listPackages(t, "wasip1", "-deps", "./"+root) {
				imports[p.ImportPath] = p.Imports
			}
			if len(imports[modulePath+"/"+root]) == 0 {
				t.Fatalf("go list -deps ./%s names no imports of it", root)
			}
			for _, f := range forbidden {
				for pkg := range imports {
					if isUnder(f, pkg) {
						t.Errorf("%s, but guests take nothing of %s", strings.Join(importChain(imports, modulePath+"/"+root, pkg), " imports "), f)
					}
				}
			}
		})
	}
}

// importChain returns the packages by which one leads to another, as short as
// can be.
func importChain(imports map[string][]string, from, to string) []string {
	by := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range imports[queue[0]] {
			if _, seen := by[next]; !seen {
				by[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	var chain []string
	for p := to; p != ""; p = by[p] {
		chain = append(chain, relative(p))
	}
	slices.Reverse(chain)
	return chain
}

// listedPackage is what go list tells of a package.
type listedPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func listPackages(t *testing.T, system string, args ...string) []listedPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports,TestImports,XTestImports"}, args...)...)
	architecture := "amd64"
	if system == "wasip1" {
		architecture = "wasm"
		cmd.Args = slices.Insert(cmd.Args, 2, "-e") // some packages have no file for it
	}
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+architecture, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.String())
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("reading what go list says: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatalf("%v lists no packages", cmd.Args)
	}
	return packages
}

func relative(pkg string) string {
	if pkg == modulePath {
		return "."
	}
	return strings.TrimPrefix(pkg, modulePath+"/")
}

// isStandard says that a package is one of the standard library: the first
// part of its path has no dot.
func isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

func TestBrokenRule(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name               string
		importer, imported string
		theirs             bool
		from               source
		want               string // part of the rule; "" if none is broken
	}{
		{name: "spi takes props", importer: "spi", imported: "spi/props", from: code},
		{name: "props take nothing", importer: "spi/props", imported: "spi", from: code, want: "spi/props imports of ours only []"},
		{name: "spi without dependencies", importer: "spi", imported: "example.com/x", theirs: true, from: code, want: "no dependency"},
		{name: "tests have dependencies", importer: "spi", imported: "github.com/google/go-cmp/cmp", theirs: true, from: externalTest},
		{name: "core upwards", importer: "core/job", imported: "core/host", from: code, want: "before it in the order"},
		{name: "core downwards", importer: "core/host", imported: "core/job", from: code},
		{name: "core beside the order", importer: "core/extra", imported: "core/job", from: code, want: "a place for every package"},
		{name: "parent of a core package", importer: "core/service/servicetest", imported: "core/service", from: code},
		{name: "embedded registry", importer: "core/registry/embedded", imported: "core/registry", from: code, want: "before it in the order"},
		{name: "core on a runtime", importer: "core/host", imported: "runtime/wasm", from: code, want: "core/... imports of ours only"},
		{name: "core on the root", importer: "core/host", imported: ".", from: code, want: "core/... imports of ours only"},
		{name: "core on a plugin", importer: "core/host", imported: "plugins/builtin", from: code, want: "core/... imports of ours only"},
		{name: "core's tests on a plugin", importer: "core/host", imported: "plugins/builtin", from: externalTest},
		{name: "core's inner tests on a plugin", importer: "core/host", imported: "plugins/builtin", from: insideTest, want: "test of core/..."},
		{name: "runtime on core", importer: "runtime/wasm", imported: "core/catalog", from: code, want: "runtime/... imports of ours only"},
		{name: "runtime's tests on core", importer: "runtime/wasm", imported: "core/catalog", from: externalTest, want: "runtime/... imports of ours only"},
		{name: "plugin on core", importer: "plugins/sharding/average", imported: "core/coordinator", from: code, want: "plugins/... imports of ours only"},
		{name: "plugin's tests on core", importer: "plugins/sharding/average", imported: "core/coordinator", from: externalTest},
		{name: "plugin on a plugin", importer: "plugins/sharding/average", imported: "plugins/sharding/odevity", from: code, want: "plugins/... imports of ours only"},
		{name: "plugin on its kind", importer: "plugins/errorhandler/email", imported: "plugins/errorhandler/internal/webhook", from: code},
		{name: "plugin on another kind", importer: "plugins/sharding/average", imported: "plugins/errorhandler/internal/webhook", from: code, want: "plugins/... imports of ours only"},
		{name: "the list of plugins", importer: "plugins/builtin", imported: "plugins/sharding/average", from: code},
		{name: "sdk on the host", importer: "sdk", imported: "runtime/wasm", from: code, want: "sdk/... imports of ours only"},
		{name: "sdk's tests on the host", importer: "sdk", imported: "runtime/wasm", from: externalTest},
		{name: "sdk on a library", importer: "sdk", imported: "example.com/x", theirs: true, from: code, want: "no dependency"},
		{name: "sdk on go-plugin", importer: "sdk", imported: "github.com/hashicorp/go-plugin", theirs: true, from: code, want: "no dependency"},
		{name: "sdk's native half on go-plugin", importer: "sdk/internal/native", imported: "github.com/hashicorp/go-plugin", theirs: true, from: code},
		{name: "sdk's native half on the host", importer: "sdk/internal/native", imported: "runtime/process", from: code, want: "sdk/internal/native imports of ours only"},
		{name: "plugintest on the hosts", importer: "sdk/plugintest", imported: "runtime/wasm", from: code},
		{name: "plugintest on the engine", importer: "sdk/plugintest", imported: "core/catalog", from: code, want: "sdk/plugintest imports of ours only"},
		{name: "plugintest in the sdk", importer: "sdk", imported: "sdk/plugintest", from: code, want: "only by tests"},
		{name: "test package in code", importer: "core/host", imported: "core/service/servicetest", from: code, want: "only by tests"},
		{name: "test package in a test", importer: "core/schedule", imported: "core/service/servicetest", from: externalTest},
		{name: "command in code", importer: ".", imported: "cmd/elasticjob/internal/cli", from: code, want: "nobody imports commands"},
		{name: "command in itself", importer: "cmd/elasticjob", imported: "cmd/elasticjob/internal/cli", from: code},
		{name: "command on the root", importer: "cmd/elasticjob/internal/cli", imported: ".", from: code},
		{name: "unknown folder", importer: "pkg/x", imported: "spi", from: code, want: "a line for every package"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := brokenRule(test.importer, test.imported, !test.theirs, test.from)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("brokenRule(%q, %q, %s) = %q, want %q in it", test.importer, test.imported, test.from, got, test.want)
			}
		})
	}
}

func TestImportChain(t *testing.T) {
	t.Parallel()
	imports := map[string][]string{modulePath + "/sdk": {"strconv", "time"}, "strconv": {"math"}, "time": {"fmt"}, "math": {"fmt"}}
	got := strings.Join(importChain(imports, modulePath+"/sdk", "fmt"), " ")
	if want := "sdk time fmt"; got != want {
		t.Errorf("importChain(sdk, fmt) = %q, want %q", got, want)
	}
}

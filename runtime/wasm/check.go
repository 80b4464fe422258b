package wasm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Shape says how a module is called.
type Shape string

// The shapes.
const (
	ShapeCommand Shape = "command" // exports _start and is run like a program
	ShapeReactor Shape = "reactor" // exports functions of the ABI
)

// refusal is the error of a module that cannot be used.
func refusal(format string, args ...any) *spi.Error {
	return spi.NewError(spi.CodeProtocol, escaped(fmt.Sprintf(format, args...)))
}

// escaped shows what is neither graphic nor a space as an escape: the names in a
// module are anything that its author likes.
func escaped(text string) string {
	quoted := strconv.QuoteToGraphic(text)
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	}
	return text
}

// shapeOf decides between command and reactor and refuses what is neither.
func shapeOf(l *layout) (Shape, error) {
	var abi []string
	var names []string
	for _, e := range l.exports {
		names = append(names, e.Name)
		if e.Kind == externNames[externFunc] && strings.HasPrefix(e.Name, wire.ExportPrefix) {
			abi = append(abi, e.Name)
		}
	}
	command := l.hasFunc(wire.ExportStart)
	switch {
	case command && len(abi) > 0:
		return "", refusal("exports both %s, which makes a command, and %s, which make a reactor: build it as one of them "+
			"(a Go reactor needs -buildmode=c-shared)", wire.ExportStart, list(abi))
	case command:
		if at := slices.IndexFunc(l.imports, func(i Import) bool { return i.Module == wire.Module }); at >= 0 {
			return "", refusal("imports %s, but exports %s: commands do not get the module %s", l.imports[at], wire.ExportStart, wire.Module)
		}
		return ShapeCommand, nil
	case len(abi) == 0:
		return "", refusal("exports neither %s (a command) nor %s (a reactor); it exports %s", wire.ExportStart, wire.ExportExecute, list(names))
	case !l.hasFunc(wire.ExportDescribe) && !l.hasFunc(wire.ExportExecute):
		return "", refusal("exports %s, but neither %s nor %s", list(abi), wire.ExportDescribe, wire.ExportExecute)
	default:
		return ShapeReactor, nil
	}
}

// list writes names for an error message, bounded.
func list(names []string) string {
	const most = 20
	if len(names) == 0 {
		return "nothing"
	}
	text := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return wire.Cut(strings.ToValidUTF8(text, "\uFFFD"), 1024)
}

// signature is the type of a function.
type signature struct{ params, results string }

func signatureOf(f api.FunctionDefinition) signature {
	return signature{params: types(f.ParamTypes()), results: types(f.ResultTypes())}
}

func types(list []api.ValueType) string {
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = api.ValueTypeName(t)
	}
	return strings.Join(names, ",")
}

// String returns the type as text.
func (s signature) String() string { return "(" + s.params + ") -> (" + s.results + ")" }

// offers lists the functions that the host provides, by module and name.
type offers map[string]map[string]signature

// hostModules are the modules that guests may import from. The crossings stand
// in for functions of the same name; without any, those are wazero's.
func hostModules(r wazero.Runtime, crossings []crossing) []wazero.HostModuleBuilder {
	wasi := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(wasi)
	for _, x := range crossings {
		x.export(wasi)
	}
	return []wazero.HostModuleBuilder{exportImports(r), wasi}
}

// checkImports refuses functions that no host provides, all at once.
func (o offers) checkImports(l *layout) error {
	var unknown []string
	for _, i := range l.imports {
		if _, known := o[i.Module][i.Name]; !known && !slices.Contains(unknown, i.String()) {
			unknown = append(unknown, i.String())
		}
	}
	if len(unknown) > 0 {
		return refusal("imports %s, which this host does not provide; it provides %s and %s",
			list(unknown), wire.Module, wasi_snapshot_preview1.ModuleName)
	}
	return nil
}

// checkTypes refuses imports and exports whose types are not those of the ABI.
func (o offers) checkTypes(compiled wazero.CompiledModule) error {
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if got, want := signatureOf(f), o[module][name]; got != want {
			return refusal("imports %s.%s as %s, but it is %s", module, name, got, want)
		}
	}
	for name, f := range compiled.ExportedFunctions() {
		want := signature{}
		switch {
		case name == wire.ExportStart, name == wire.ExportInitialize:
		case strings.HasPrefix(name, wire.ExportPrefix):
			want.results = api.ValueTypeName(api.ValueTypeI32)
		default:
			continue
		}
		if got := signatureOf(f); got != want {
			return refusal("exports %s as %s, but it is %s", name, got, want)
		}
	}
	return nil
}

package wasm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Error numbers of WASI preview 1. Those of wazero have no EXDEV.
const (
	wasiENOSYS = 52
	wasiEXDEV  = 75
)

// crossing is a function of WASI that takes two paths, which may be in two
// directories.
type crossing struct {
	name            string
	run             api.GoModuleFunction
	params, results []api.ValueType
}

// crossingsOf finds these functions among those of wazero, which answers ENOSYS
// when the directories are two: programs take that for a function that is
// missing, and fail. With EXDEV they copy instead.
func crossingsOf(wasi wazero.CompiledModule) ([]crossing, error) {
	functions := wasi.ExportedFunctions()
	var list []crossing
	for _, name := range []string{"path_rename", "path_link"} {
		f, found := functions[name]
		if !found {
			return nil, fmt.Errorf("%s has no %s", wasi_snapshot_preview1.ModuleName, name)
		}
		run, ok := f.GoFunction().(api.GoModuleFunction)
		if !ok {
			return nil, fmt.Errorf("%s.%s is a %T", wasi_snapshot_preview1.ModuleName, name, f.GoFunction())
		}
		list = append(list, crossing{name: name, run: run, params: f.ParamTypes(), results: f.ResultTypes()})
	}
	return list, nil
}

// export puts the function in the place of wazero's.
func (x crossing) export(wasi wazero.HostModuleBuilder) {
	wasi.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
		x.run.Call(ctx, m, stack)
		if stack[0] == wasiENOSYS {
			stack[0] = wasiEXDEV
		}
	}), x.params, x.results).Export(x.name)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// measureBare calls a guest of the ABI on wazero with the least that it needs:
// no limits, no log, no check of what the guest says. Calls end with their
// context, as ours do. It is the floor under our numbers.
func measureBare(ctx context.Context, g guest) (results []result, err error) {
	binary, err := os.ReadFile(g.path)
	if err != nil {
		return nil, err
	}
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCloseOnContextDone(true))
	defer func() { err = errors.Join(err, runtime.Close(ctx)) }()
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, runtime); err != nil {
		return nil, err
	}
	if err := bareImports(ctx, runtime); err != nil {
		return nil, err
	}
	compiled, err := runtime.CompileModule(ctx, binary)
	if err != nil {
		return nil, err
	}
	start := func(ctx context.Context) (api.Module, error) {
		return runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions(wire.ExportInitialize))
	}

	fresh, err := timed(ctx, func(ctx context.Context) error {
		m, err := start(ctx)
		if err != nil {
			return err
		}
		return errors.Join(bareCall(ctx, m), m.Close(ctx))
	})
	if err != nil {
		return nil, err
	}
	m, err := start(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := timed(ctx, func(ctx context.Context) error { return bareCall(ctx, m) })
	if err := errors.Join(err, m.Close(ctx)); err != nil {
		return nil, err
	}
	return []result{
		callResult(g.row+", fresh", whoWazero, fresh),
		callResult(g.row+", pooled", whoWazero, kept),
	}, nil
}

type bareInput struct{}

// bareCall encodes the request and runs the guest on it.
func bareCall(ctx context.Context, m api.Module) error {
	input := wire.AppendExecuteRequest(nil, wire.PluginWASM, request("").Context)
	returned, err := m.ExportedFunction(wire.ExportExecute).Call(context.WithValue(ctx, bareInput{}, input))
	if err != nil {
		return err
	}
	if returned[0] != 0 {
		return fmt.Errorf("the guest returned %d", returned[0])
	}
	return nil
}

// bareImports are the imports of the ABI; only the input is real.
func bareImports(ctx context.Context, runtime wazero.Runtime) error {
	_, err := runtime.NewHostModuleBuilder(wire.Module).
		NewFunctionBuilder().WithFunc(func(ctx context.Context, m api.Module, to, capacity uint32) uint32 {
		input, _ := ctx.Value(bareInput{}).([]byte)
		if len(input) <= int(capacity) {
			m.Memory().Write(to, input)
		}
		return uint32(len(input))
	}).Export(wire.ImportInputRead).
		NewFunctionBuilder().WithFunc(func(uint32, uint32) {}).Export(wire.ImportOutputWrite).
		NewFunctionBuilder().WithFunc(func(int32, uint32, uint32) {}).Export(wire.ImportLog).
		NewFunctionBuilder().WithFunc(func(uint32, uint32, uint32, uint32) int32 { return -int32(spi.CodeUnsupported) }).Export(wire.ImportHostCall).
		NewFunctionBuilder().WithFunc(func(uint32, uint32) uint32 { return 0 }).Export(wire.ImportHostRead).
		Instantiate(ctx)
	return err
}

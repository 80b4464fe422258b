package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
)

func descriptor(change ...string) string {
	text := `{"kind":"jobType","type":"ORDERS","version":"1","description":"d","props":[],"capabilities":[]}`
	return strings.NewReplacer(change...).Replace(text)
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	one := descriptor()
	many := slices.Repeat([]string{one}, 300)
	for _, c := range []struct {
		name, text string
		result     int32
		want       string // in the error; "" is none
		code       spi.Code
	}{
		{"one job type", `{"plugins":[` + one + `]}`, 0, "", 0},
		{"unknown members", `{"more":{},"plugins":[` + descriptor(`"version"`, `"later":[1],"version"`) + `]}`, 0, "", 0},
		{"two job types", `{"plugins":[` + one + `,` + descriptor("ORDERS", "BILLS") + `]}`, 0, "", 0},
		{"none", `{"plugins":[]}`, 0, "none", spi.CodeProtocol},
		{"nothing", ``, 0, "elasticjob_describe: it wrote no output", spi.CodeProtocol},
		{"no JSON", `hello`, 0, "describe", spi.CodeProtocol},
		{"a missing list", `{}`, 0, "plugins", spi.CodeProtocol},
		{"a list of another type", `{"plugins":{}}`, 0, "plugins", spi.CodeProtocol},
		{"a missing member", `{"plugins":[` + descriptor(`"type":"ORDERS",`, ``) + `]}`, 0, "type", spi.CodeProtocol},
		{"a bad type name", `{"plugins":[` + descriptor("ORDERS", "orders") + `]}`, 0, "orders", spi.CodeProtocol},
		{"a bad kind", `{"plugins":[` + descriptor("jobType", "job") + `]}`, 0, "unknown kind", spi.CodeProtocol},
		{"a bad property", `{"plugins":[` + descriptor(`"props":[]`, `"props":[{"name":"a","type":"int"}]`) + `]}`, 0, "description", spi.CodeProtocol},
		{"a property twice", `{"plugins":[` + descriptor(`"props":[]`, `"props":[{"name":"a","type":"int","description":"d"},{"name":"a","type":"int","description":"d"}]`) + `]}`, 0, "twice", spi.CodeProtocol},
		{"one type twice", `{"plugins":[` + one + `,` + one + `]}`, 0, "ORDERS is listed twice", spi.CodeProtocol},
		{"too many", `{"plugins":[` + strings.Join(many, ",") + `]}`, 0, "plugins", spi.CodeProtocol},
		{"a sharding strategy", `{"plugins":[` + descriptor("jobType", "shardingStrategy") + `]}`, 0, "the shardingStrategy ORDERS is described, but the module does not export elasticjob_shard", spi.CodeProtocol},
		{"an error handler", `{"plugins":[` + descriptor("jobType", "errorHandler") + `]}`, 0, "does not export elasticjob_handle_error", spi.CodeProtocol},
		{"a listener", `{"plugins":[` + descriptor("jobType", "jobListener") + `]}`, 0, "does not export elasticjob_before_job", spi.CodeProtocol},
		{"a tracing sink", `{"plugins":[` + descriptor("jobType", "tracingSink") + `]}`, 0, "does not export elasticjob_trace", spi.CodeProtocol},
		{"two kinds of one name", `{"plugins":[` + one + `,` + descriptor("jobType", "errorHandler") + `]}`, 0, "the errorHandler ORDERS is described", spi.CodeProtocol},
		{"an executor pool", `{"plugins":[` + descriptor("jobType", "executorPool") + `]}`, 0, "executorPool in modules are not available in this version", spi.CodeUnsupported},
		{"an unknown capability", `{"plugins":[` + descriptor(`"capabilities":[]`, `"capabilities":["fly"]`) + `]}`, 0, `ORDERS: the capability "fly" is not available in this version`, spi.CodeUnsupported},
		{"a capability of another kind", `{"plugins":[` + descriptor(`"capabilities":[]`, `"capabilities":["distributeOnce"]`) + `]}`, 0, `"distributeOnce" is not available`, spi.CodeUnsupported},
		{"dataflow", `{"plugins":[` + descriptor(`"capabilities":[]`, `"capabilities":["execute","dataflow"]`) + `]}`, 0, "the jobType ORDERS is described, but the module does not export elasticjob_fetch_data", spi.CodeProtocol},
		{"an error", `{"code":1001,"message":"not today"}`, 1, "not today", 1001},
		{"a bad error", `{"code":"x"}`, 1, "error object", spi.CodeProtocol},
		{"another result", ``, 5, "returned 5", spi.CodeProtocol},
		{"a flood", strings.Repeat(" ", 17<<20), 0, "16 MiB", spi.CodeLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkDescribe(t, describing(c.text, c.result), c.want, c.code)
		})
	}
}

func checkDescribe(t *testing.T, a assembly, want string, code spi.Code) {
	t.Helper()
	path := writeFile(t, a.bytes())
	b, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: path})
	if err == nil {
		defer func() {
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
	}
	if want == "" {
		if err != nil {
			t.Fatalf("Load = %v", err)
		}
		for _, p := range b.Plugins {
			if err := p.Check(); err != nil {
				t.Errorf("Check(%s) = %v", p.Descriptor.Type, err)
			}
		}
		return
	}
	e, _ := errors.AsType[*spi.Error](err)
	if e == nil || e.Code != code || !strings.HasPrefix(err.Error(), path+": describing the plugins: ") || !strings.Contains(err.Error(), want) {
		t.Errorf("Load = %v, want %v with the file and %q", err, code, want)
	}
}

func TestDescribeReturnsANegativeNumber(t *testing.T) {
	t.Parallel()
	checkDescribe(t, describing("", -1), "elasticjob_describe returned -1,", spi.CodeProtocol)
}

func TestDescribeHangs(t *testing.T) {
	t.Parallel()
	a := describing("", 0)
	a.functions[1].code = endlessly()
	checkDescribe(t, a, "timeout", spi.CodeTimeout)
}

func TestDescribeIsDeniedTheHost(t *testing.T) {
	t.Parallel()
	a := describing("should_stop", 0)
	a.functions[1].code = slices.Concat(callOn(fnHostCall, 0, 11, 0, 0), constant(-100), []byte{0x6c}) // 4 * 100
	checkDescribe(t, a, fmt.Sprintf("returned %d", 100*spi.CodeDenied), spi.CodeProtocol)
}

func TestDescribeWithoutExecute(t *testing.T) {
	t.Parallel()
	a := describing(`{"plugins":[`+descriptor()+`]}`, 0)
	a.functions[0].export = ""
	checkDescribe(t, a, "does not export elasticjob_execute", spi.CodeProtocol)
}

func TestDescribeLogsToTheHost(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := newHost(t, Config{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	text := `{"plugins":[` + descriptor() + `]}`
	a := describing(text, 0)
	a.functions[1].code = slices.Concat(callOn(fnLog, 4, 2, 7), a.functions[1].code)
	path := writeFile(t, a.bytes())
	b, err := h.Load(t.Context(), spi.LoadRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`"level":"WARN"`, `"msg":"plugin output"`, path, `"line":"plugins"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log = %s, want %s in it", log.String(), want)
		}
	}
}

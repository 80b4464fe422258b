package subject

import (
	"reflect"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// A field that the texts did not tell could get lost on its way to a plugin, and
// no suite would see it.
func TestTextsTellEveryField(t *testing.T) {
	t.Parallel()
	check(t, "context", ContextText)
	check(t, "error", func(e spi.Error) string { return ErrorText(&e) })
	check(t, "HTTP response", HTTPText)
	check(t, "request to shard", ShardText, "Services")
	check(t, "instance", func(i spi.Instance) string { return ShardText(spi.ShardRequest{Instances: []spi.Instance{i}}) })
	check(t, "item", func(i spi.Item) string { return ShardText(spi.ShardRequest{Items: []spi.Item{i}}) })
	check(t, "failure", FailureText, "Services")
	check(t, "request to a listener", func(r spi.JobListenerRequest) string { return RunText("before", r) }, "Services")
	check(t, "run", func(r spi.JobRun) string { return RunText("before", spi.JobListenerRequest{Run: r}) })
	check(t, "item of a run", func(i spi.RunItem) string {
		return RunText("before", spi.JobListenerRequest{Run: spi.JobRun{Items: []spi.RunItem{i}}})
	})
	check(t, "request to a sink", TraceText, "Services")
	check(t, "event", EventText)
}

// check sets one field after the other and wants another text each time.
func check[T any](t *testing.T, what string, text func(T) string, but ...string) {
	t.Helper()
	var zero T
	before := text(zero)
	for i := range reflect.TypeFor[T]().NumField() {
		name := reflect.TypeFor[T]().Field(i).Name
		if len(but) > 0 && name == but[0] {
			continue
		}
		var changed T
		field := reflect.ValueOf(&changed).Elem().Field(i)
		field.Set(filled(t, field.Type()))
		if text(changed) == before {
			t.Errorf("the text of a %s does not tell its field %s", what, name)
		}
	}
}

// filled returns a value of the type that is not zero.
func filled(t *testing.T, of reflect.Type) reflect.Value {
	t.Helper()
	switch of {
	case reflect.TypeFor[time.Time]():
		return reflect.ValueOf(time.Unix(7, 0))
	case reflect.TypeFor[props.Values]():
		return reflect.ValueOf(props.Values{"a": "b"})
	case reflect.TypeFor[spi.JobRun]():
		return reflect.ValueOf(spi.JobRun{JobName: "j"})
	case reflect.TypeFor[spi.ShardingContext]():
		return reflect.ValueOf(spi.ShardingContext{JobName: "j"})
	case reflect.TypeFor[spi.Instance]():
		return reflect.ValueOf(spi.Instance{ID: "i"})
	case reflect.TypeFor[ops.HTTPResponse]():
		return reflect.ValueOf(ops.HTTPResponse{Status: 1})
	}
	value := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.String:
		value.SetString("x")
	case reflect.Int, reflect.Int32, reflect.Int64:
		value.SetInt(7)
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Uint8:
		value.SetUint(7)
	case reflect.Slice:
		value = reflect.MakeSlice(of, 1, 1)
		if of.Elem().Kind() != reflect.Struct {
			value.Index(0).Set(filled(t, of.Elem()))
		}
	case reflect.Map:
		value = reflect.MakeMap(of)
		value.SetMapIndex(filled(t, of.Key()), filled(t, of.Elem()))
	case reflect.Pointer:
		value = reflect.New(of.Elem())
	default:
		t.Fatalf("a field has the type %s, which this test cannot fill", of)
	}
	return value
}

package job_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
)

const fullDefinition = `{"jobName":"orders","elasticJobType":"ORDERS","cron":"0/5 * * * * ?","timeZone":"Asia/Shanghai","shardingTotalCount":3,` +
	`"shardingItemParameters":"0=A,1=<B>","jobParameter":"p","monitorExecution":false,"misfire":false,"failover":true,"maxRetries":3,` +
	`"maxTimeDiffSeconds":60,"reconcileIntervalMinutes":0,"jobShardingStrategyType":"ODEVITY",` +
	`"jobExecutorThreadPoolSizeProviderType":"4","jobErrorHandlerType":["LOG","EMAIL"],` +
	`"jobListenerTypes":["AUDIT","NOTIFY"],"startedTimeoutMilliseconds":1500,"completedTimeoutMilliseconds":60000,"description":"d",` +
	`"props":{"a":"1","b.c":""},"disabled":true,"overwrite":true,"label":"l","every":"1m30s","at":"2030-01-02T03:04:05Z","timeout":"10m0s","retryBackoff":"250ms","concurrencyPolicy":"CANCEL_RUNNING","onLeaseLoss":"continue"}`

func fullConfig() job.Config {
	return job.Config{
		Name: "orders", Type: "ORDERS", Cron: "0/5 * * * * ?", TimeZone: "Asia/Shanghai", ShardingTotalCount: 3,
		ShardingItemParameters: "0=A,1=<B>", JobParameter: "p", Failover: true, MaxTimeDiffSeconds: 60,
		ShardingStrategyType: "ODEVITY", PoolType: "4", ErrorHandlerTypes: []string{"LOG", "EMAIL"},
		ListenerTypes: []string{"AUDIT", "NOTIFY"}, StartedTimeoutMilliseconds: 1500, CompletedTimeoutMilliseconds: 60_000,
		Description: "d",
		Props:       map[string]string{"b.c": "", "a": "1"}, Disabled: true, Overwrite: true, Label: "l",
		Every: 90 * time.Second, At: time.Date(2030, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600)), Timeout: 10 * time.Minute,
		MaxRetries: 3, RetryBackoff: 250 * time.Millisecond, ConcurrencyPolicy: job.ConcurrencyCancelRunning, OnLeaseLoss: job.LeaseLossContinue,
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	got, err := job.Encode(fullConfig())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullDefinition, string(got)); diff != "" {
		t.Errorf("Encode differs (-want +got):\n%s", diff)
	}
	marshalled, err := json.Marshal(map[string]job.Config{"job": fullConfig()})
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]job.Config
	if err := json.Unmarshal(marshalled, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullConfig(), back["job"]); diff != "" {
		t.Errorf("Unmarshal(Marshal(c)) differs (-want +got):\n%s", diff)
	}
}

func TestEncodeBounds(t *testing.T) {
	t.Parallel()
	c := orders(nil)
	short, err := job.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	room := job.MaxDefinitionSize - len(short) - len(`"description":"",`)
	c.Description = strings.Repeat("x", room)
	if got, err := job.Encode(c); err != nil || len(got) != job.MaxDefinitionSize {
		t.Errorf("Encode = %d bytes, %v, want %d bytes", len(got), err, job.MaxDefinitionSize)
	}
	c.Description += "x"
	if got, err := job.Encode(c); err == nil {
		t.Errorf("Encode = %d bytes, want an error", len(got))
	}
	if got, err := job.Encode(job.Config{At: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
		t.Errorf("Encode of the year 12000 = %s, want an error", got)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	got, err := job.Decode([]byte(fullDefinition))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullConfig(), got); diff != "" {
		t.Errorf("Decode differs (-want +got):\n%s", diff)
	}
	got, err = job.Decode([]byte(`{"jobName": "a"}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(job.Defaults("a"), got); diff != "" {
		t.Errorf("Decode of a name differs from Defaults (-want +got):\n%s", diff)
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // data, part of the error
		``:                                   "EOF",
		`null`:                               "not a JSON object",
		`[]`:                                 "not a JSON object",
		`{"jobName":"a"`:                     "EOF",
		`{"jobName":"a"} {}`:                 "more after the object",
		`{"jobName":"a","jobName":"b"}`:      `"jobName" is given twice`,
		`{"JobName":"a"}`:                    `unknown key "JobName"`,
		`{"startAt":"x"}`:                    `unknown key "startAt"`,
		`{"dependsOn":["a"]}`:                "cannot unmarshal string",
		`{"dependsOn":[{"job":1}]}`:          `"job" of dependsOn is not text`,
		`{"dependsOn":[{"after":"a"}]}`:      `unknown field "after"`,
		`{"cron":null}`:                      "cron is null",
		`{"shardingTotalCount":"3"}`:         "cannot unmarshal string",
		`{"shardingTotalCount":1.5}`:         "cannot unmarshal number",
		`{"misfire":1}`:                      "cannot unmarshal number",
		`{"every":30}`:                       "cannot unmarshal number",
		`{"every":"30"}`:                     "reading every",
		`{"timeout":"x"}`:                    "reading timeout",
		`{"retryBackoff":"x"}`:               "reading retryBackoff",
		`{"at":"tomorrow"}`:                  "reading at",
		`{"props":{"a":1}}`:                  `"a" of props is not text`,
		`{"props":{"a":"1","a":"2"}}`:        `"a" is given twice`,
		`{"props":[]}`:                       "cannot unmarshal array",
		`{"jobErrorHandlerType":[[]]}`:       "element of jobErrorHandlerType is not text",
		`{"jobErrorHandlerType":"LOG"}`:      "cannot unmarshal string",
		`{"jobListenerTypes":[null]}`:        "element of jobListenerTypes is not text",
		strings.Repeat(" ", 65536) + `{}`:    "more than the 65536",
		`{"props":{"a":{"b":{"c":"deep"}}}}`: "is not text",
	}
	for data, want := range tests {
		got, err := job.Decode([]byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Decode(%.80s) = %+v, %v, want an error with %q", data, got, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(fullDefinition))
	f.Add([]byte(`{"jobName":"a","every":"-1ns","at":"0000-01-01T00:00:00+23:59"}`))
	f.Add([]byte(`{"props":{"\ud800":"\u0000"},"jobErrorHandlerType":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := job.Decode(data)
		if err != nil {
			return
		}
		first, err := job.Encode(c)
		if err != nil {
			return // escapes may have made it larger than the bound, and an offset may have left year 9999
		}
		again, err := job.Decode(first)
		if err != nil {
			t.Fatalf("Decode(Encode(c)) = %v, want no error, for %s", err, first)
		}
		second, err := job.Encode(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("Encode(Decode(Encode(c))) = %s, %v, want %s", second, err, first)
		}
		c.Validate()
	})
}

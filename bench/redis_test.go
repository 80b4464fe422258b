package main

import (
	"testing"
	"time"
)

func TestUsageIsWhatCameAfterAReading(t *testing.T) {
	t.Parallel()
	before := parseUsage("# CPU\r\nused_cpu_sys:1.500000\r\nused_cpu_user:2.000000\r\nused_cpu_sys_children:9.0\r\n\r\n# Commandstats\r\ncmdstat_evalsha:calls=10,usec=5,usec_per_call=0.50,rejected_calls=0,failed_calls=0\r\n")
	after := parseUsage("used_cpu_sys:1.75\r\nused_cpu_user:2.25\r\ncmdstat_evalsha:calls=25,usec=9\r\ncmdstat_set:calls=3,usec=1\r\n")
	got := after.since(before)
	if want := 500 * time.Millisecond; got.cpu != want {
		t.Errorf("since().cpu = %v, want %v", got.cpu, want)
	}
	if n := got.calls("evalsha", "set"); n != 18 {
		t.Errorf("calls(evalsha, set) = %d, want 18", n)
	}
	if n := got.calls("eval"); n != 0 {
		t.Errorf("calls(eval) = %d, want 0", n)
	}
}

// A reactor in plain Go, written from the ABI page without the sdk. It
// describes one job type.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport elasticjob_v1 input_read
func inputRead(ptr unsafe.Pointer, capacity uint32) uint32

//go:wasmimport elasticjob_v1 output_write
func outputWrite(ptr unsafe.Pointer, length uint32)

//go:wasmimport elasticjob_v1 log
func hostLog(level int32, ptr unsafe.Pointer, length uint32)

//go:wasmimport elasticjob_v1 host_call
func hostCall(op unsafe.Pointer, opLength uint32, request unsafe.Pointer, length uint32) int32

//go:wasmimport elasticjob_v1 host_read
func hostRead(ptr unsafe.Pointer, capacity uint32) uint32

func main() {}

var calls int

func write(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	outputWrite(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
}

//go:wasmexport elasticjob_describe
func describe() int32 {
	write(map[string]any{"plugins": []any{map[string]any{
		"kind": "jobType", "type": "GO_PLAIN", "version": "1.2.3", "description": "Does as its parameter says.",
		"props": []any{map[string]any{
			"name": "batch.size", "type": "int", "description": "How many at once.", "default": "100", "required": false, "secret": false, "min": "1",
		}},
		"capabilities": []string{"execute"},
	}}})
	return 0
}

type request struct {
	ABI     int    `json:"abi"`
	Type    string `json:"type"`
	Plugin  string `json:"plugin"`
	Context struct {
		JobName      string            `json:"jobName"`
		JobParameter string            `json:"jobParameter"`
		ShardingItem int               `json:"shardingItem"`
		FencingToken string            `json:"fencingToken"`
		Props        map[string]string `json:"props"`
	} `json:"context"`
}

//go:wasmexport elasticjob_execute
func execute() int32 {
	calls++
	b := make([]byte, 64)
	n := inputRead(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
	if int(n) > len(b) {
		b = make([]byte, n)
		n = inputRead(unsafe.Pointer(unsafe.SliceData(b)), n)
	}
	var r request
	if err := json.Unmarshal(b[:n], &r); err != nil {
		write(map[string]any{"code": 1, "message": err.Error()})
		return 1
	}
	switch r.Context.JobParameter {
	case "loop":
		for {
		}
	case "panic":
		panic("the guest panics")
	case "bomb":
		var keep [][]byte
		for {
			keep = append(keep, make([]byte, 1<<20))
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "exit":
		os.Exit(3)
	case "count":
		write(map[string]any{"message": fmt.Sprint(calls)})
		return 0
	case "environment":
		write(map[string]any{"message": strings.Join(os.Environ(), " ")})
		return 0
	case "read":
		content, err := os.ReadFile("/data/plain")
		write(map[string]any{"message": fmt.Sprintf("%s %v", content, err)})
		return 0
	case "host":
		op := "should_stop"
		code := hostCall(unsafe.Pointer(unsafe.StringData(op)), uint32(len(op)), nil, 0)
		answer := make([]byte, 256)
		length := hostRead(unsafe.Pointer(unsafe.SliceData(answer)), uint32(len(answer)))
		write(map[string]any{"message": fmt.Sprint(code, " ", string(answer[:length]))})
		return 0
	}
	line := strings.Repeat("x", 3)
	hostLog(4, unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
	fmt.Println("on stdout")
	write(map[string]any{"message": fmt.Sprintf("%d %s %s item %d token %s batch %s",
		r.ABI, r.Type, r.Plugin, r.Context.ShardingItem, r.Context.FencingToken, r.Context.Props["batch.size"])})
	return 0
}

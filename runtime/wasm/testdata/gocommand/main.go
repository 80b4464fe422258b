// A plain program that is a job: its context is its last argument and its
// standard input.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var context struct {
		JobParameter string `json:"jobParameter"`
		ShardingItem int    `json:"shardingItem"`
	}
	if err := json.Unmarshal(input, &context); err != nil {
		panic(err)
	}
	switch context.JobParameter {
	case "arguments":
		fmt.Println(len(os.Args), os.Args[0], len(os.Args) == 2 && os.Args[1] == string(input), len(os.Environ()))
	case "fail":
		for i := range 30 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		os.Exit(7)
	case "fail silently":
		os.Exit(9)
	case "fail at length":
		fmt.Fprint(os.Stderr, strings.Repeat("long ", 10000))
		os.Exit(1)
	case "exit 0":
		os.Exit(0)
	case "panic":
		panic("the command panics")
	case "loop":
		for {
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "bomb":
		var keep [][]byte
		for {
			keep = append(keep, make([]byte, 1<<20))
		}
	case "flood":
		out := bufio.NewWriter(os.Stdout)
		for range 5000 {
			fmt.Fprintln(out, strings.Repeat("f", 999))
		}
		_ = out.Flush()
	case "long line":
		fmt.Println(strings.Repeat("a", 200000))
		fmt.Print("after")
	case "open":
		_, err := os.Open("/etc/passwd")
		fmt.Println(err != nil)
	case "grants":
		random := make([]byte, 8)
		if _, err := rand.Read(random); err != nil {
			panic(err)
		}
		fmt.Printf("%q %d %x\n", os.Environ(), time.Now().Unix(), random)
	case "files":
		content, err := os.ReadFile("/data/plain")
		fmt.Printf("%s %v\n", content, err)
		entries, err := os.ReadDir("/data/sub")
		fmt.Println(entries, err)
		fmt.Println(os.WriteFile("/data/sub/new", []byte("new"), 0o600))
		f, err := os.OpenFile("/data/sub/new", os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("er")
			_ = f.Close()
		}
		fmt.Println(err)
		_, err = os.ReadFile("/data/out")
		fmt.Println(err)
	default:
		fmt.Println("item", context.ShardingItem)
		fmt.Fprintln(os.Stderr, "a warning")
	}
}

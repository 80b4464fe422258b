package dial_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fake is a server that says what a test has it say, for releases and states
// that no real one is in.
type fake struct{ addr string }

// serve starts a server that answers every command with what reply returns, in
// RESP; "" closes the connection.
func serve(t *testing.T, reply func(command []string) string) *fake {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{addr: l.Addr().String()}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { answer(conn, reply) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		served.Wait()
	})
	return f
}

func answer(conn net.Conn, reply func([]string) string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		command, err := readCommand(in)
		if err != nil {
			return
		}
		text := reply(command)
		if _, err := io.WriteString(conn, text); err != nil || text == "" {
			return
		}
	}
}

func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readCount(in, '*')
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := readCount(in, '$')
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:size])
	}
	return words, nil
}

func readCount(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" || line[0] != kind {
		return 0, errors.New("not a command: " + line)
	}
	return strconv.Atoi(line[1:])
}

// bulk is a string in RESP.
func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }

// redisLike answers as a healthy server of a release does, but for the fields
// that INFO says otherwise.
func redisLike(release string, fields ...string) func([]string) string {
	text := "# Server\r\nredis_version:" + release + "\r\nredis_mode:standalone\r\n\r\n# Replication\r\nrole:master\r\n" + strings.Join(fields, "\r\n") + "\r\n"
	return func(command []string) string {
		switch strings.ToUpper(command[0]) {
		case "HELLO":
			return "-ERR unknown command `HELLO`, with args beginning with: `" + strings.Join(command[1:], "`, `") + "`, \r\n"
		case "INFO":
			return bulk(text)
		case "SCRIPT":
			return bulk(strings.Repeat("0", 40))
		case "EVALSHA":
			return "*0\r\n"
		default:
			return "+OK\r\n"
		}
	}
}

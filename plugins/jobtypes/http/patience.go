package httpjob

import (
	"context"
	"errors"
	"io"
	"net/http/httptrace"
	"sync"
	"time"
)

// patience ends a request when nothing happens for too long: until there is a
// connection, then until the header of the response is there, then between its
// parts. Each redirect begins anew.
type patience struct {
	cancel        context.CancelCauseFunc
	connect, wait time.Duration

	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

func newPatience(cancel context.CancelCauseFunc, connect, read time.Duration) *patience {
	return &patience{cancel: cancel, connect: connect, wait: read}
}

// trace returns the hooks by which the client tells how far it is.
func (p *patience) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			p.begin(p.connect, "no connection within "+p.connect.String()+" ("+PropConnectTimeout+")")
		},
		GotConn: func(httptrace.GotConnInfo) {
			p.begin(p.wait, "no response within "+p.wait.String()+" ("+PropReadTimeout+")")
		},
	}
}

// begin starts to wait for something else.
func (p *patience) begin(limit time.Duration, otherwise string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	if !p.ended {
		p.timer = time.AfterFunc(limit, func() { p.cancel(errors.New(otherwise)) })
	}
}

// end waits for nothing any more.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// read reads the body, whose beginning it returns. What is beyond the bound is
// left unread, and its connection is not used again.
func (p *patience) read(body io.Reader) (beginning []byte, err error) {
	stalled := "no more of the response within " + p.wait.String() + " (" + PropReadTimeout + ")"
	buffer := make([]byte, 8<<10)
	for total := 0; total < maxBody; {
		p.begin(p.wait, stalled)
		n, err := body.Read(buffer)
		if room := maxShown + 1 - len(beginning); room > 0 {
			beginning = append(beginning, buffer[:min(n, room)]...)
		}
		total += n
		if errors.Is(err, io.EOF) {
			return beginning, nil
		}
		if err != nil {
			return beginning, err
		}
	}
	return beginning, nil
}

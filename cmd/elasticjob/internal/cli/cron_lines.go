package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

// maxCronLine bounds a line of cron next --stdin, in bytes.
const maxCronLine = 64 << 10

var errLineTooLong = errors.New("the line is longer than 64 KiB")

// cronRequest is a line of stdin. Other members are left alone.
type cronRequest struct {
	Expr  *string `json:"expr"`
	Zone  *string `json:"tz"`
	Start *int64  `json:"start"`
	Count *int    `json:"n"`
}

// answerCronLine returns the answer to one line, a line of its own.
func answerCronLine(line []byte) []byte {
	times, err := cronTimes(line)
	if err != nil {
		return cronError(err)
	}
	return cronLine(struct {
		Times []int64 `json:"times"`
	}{times})
}

func cronError(err error) []byte {
	return cronLine(struct {
		Error string `json:"error"`
	}{err.Error()})
}

func cronLine(answer any) []byte {
	line, err := encode(formatJSON, answer, false)
	if err != nil {
		return []byte(`{"error":"the answer cannot be encoded"}` + "\n")
	}
	return line
}

func cronTimes(line []byte) ([]int64, error) {
	var req cronRequest
	if err := json.Unmarshal(line, &req); err != nil {
		return nil, fmt.Errorf("the line is no request: %w", plainJSON(err))
	}
	zone, count := "UTC", defaultInstants
	switch {
	case req.Expr == nil:
		return nil, errors.New(`the member "expr" is missing`)
	case req.Start == nil:
		return nil, errors.New(`the member "start" is missing: write milliseconds of the Unix epoch`)
	}
	if req.Zone != nil {
		zone = *req.Zone
	}
	if req.Count != nil {
		count = *req.Count
	}
	if count < 0 || count > maxInstants {
		return nil, fmt.Errorf(`the member "n" is %d: write 0 to %d`, count, maxInstants)
	}
	loc, err := cron.Zone(zone)
	if err != nil {
		return nil, err
	}
	expr, err := cron.Parse(*req.Expr, loc)
	if err != nil {
		return nil, err
	}
	times := []int64{}
	for _, t := range newInstants(expr, time.UnixMilli(*req.Start), count) {
		times = append(times, t.UnixMilli())
	}
	return times, nil
}

// plainJSON says what is wrong with a request without the names of Go types.
func plainJSON(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if kind.Field == "" {
			return fmt.Errorf("it must be a JSON object, not %s", kind.Value)
		}
		return fmt.Errorf("the member %q cannot be %s", kind.Field, kind.Value)
	}
	return errors.New("it must be a JSON object on one line (" + strings.TrimPrefix(err.Error(), "json: ") + ")")
}

// lineReader reads lines of bounded length.
type lineReader struct {
	r    *bufio.Reader
	most int
}

func newLineReader(r io.Reader, most int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10), most: most}
}

// next returns the next line without its end, valid until the next call. After
// errLineTooLong the line has been skipped and reading goes on. The last line
// needs no line break.
func (l *lineReader) next() ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := l.r.ReadSlice('\n')
		if len(line)+len(part) > l.most+len("\r\n") {
			tooLong = true
		}
		if !tooLong {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) == 0 && !tooLong:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if tooLong || len(line) > l.most {
			return nil, errLineTooLong
		}
		return line, nil
	}
}

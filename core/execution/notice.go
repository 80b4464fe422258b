package execution

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// PropWindow is the property of jobs with error handlers that send messages that
// says how long failures that are alike become one message.
const PropWindow = "errorhandler.window"

// NotifyProps are the properties that every job with a handler that sends
// messages has besides those of its plugins.
func NotifyProps() props.Schema {
	return props.Schema{{
		Name: PropWindow, Type: props.Duration, Default: "1m", Min: "0s", Max: "24h",
		Description: "after a message, failures that are alike are counted this long and then become one message; 0s makes each a message of its own",
	}}
}

// maxNoticeItems bounds the items that a notice names.
const maxNoticeItems = 100

// notice is a message of an error handler: about one failure, or several that are
// alike.
type notice struct {
	failure // the last one
	handler string

	count       int
	first, last time.Time
	items       []int // in order, of more than maxNoticeItems those that failed first

	tries int
	since time.Time // when it was tried first
}

// add takes in one more failure. It is called for the first one as well.
func (n *notice) add(f failure, now time.Time) {
	n.failure, n.last = f, now
	if n.count == 0 {
		n.first = now
	}
	n.count++
	if f.item == wholeRun || len(n.items) == maxNoticeItems {
		return
	}
	if at, known := slices.BinarySearch(n.items, f.item); !known {
		n.items = slices.Insert(n.items, at, f.item)
	}
}

// facts are the attributes of a notice that nobody was told of.
func (n *notice) facts() []slog.Attr {
	items := make([]string, len(n.items))
	for i, item := range n.items {
		items[i] = strconv.Itoa(item)
	}
	return append(n.about(), slog.String("plugin", n.handler), slog.Int("count", n.count), slog.Time("from", n.first), slog.Time("to", n.last),
		slog.String("items", strings.Join(items, ",")), slog.String("failure", n.err.Error()))
}

// A message that may get through later is sent again after firstRetry, and after
// twice as long each time until that is lastRetry. It is given up when its next
// try would be later than retryPeriod after its first.
const (
	firstRetry  = time.Second
	lastRetry   = time.Minute
	retryPeriod = 15 * time.Minute
)

// nextTry returns how long to wait for the next try after one that ended with
// err, and whether there is to be one.
func (n *notice) nextTry(err error, now time.Time) (wait time.Duration, again bool) {
	e := spi.AsError(err)
	if e == nil || !e.Retryable {
		return 0, false
	}
	wait = lastRetry
	if doublings := n.tries - 1; doublings < 6 {
		wait = min(wait, firstRetry<<doublings)
	}
	wait = max(wait, e.RetryAfter)
	return wait, now.Add(wait).Sub(n.since) <= retryPeriod
}

// currentHandler returns the handler and the spec that the notice is sent with:
// those that the job has now, so that what was mended in its configuration counts
// for the next try, or else those that it had. The spec is in use until the caller
// ends that.
func (n *notice) currentHandler() (*Handler, *Spec) {
	j := n.run.job
	j.mu.Lock()
	defer j.mu.Unlock()
	spec := j.spec
	if j.closed || spec == nil {
		spec = n.run.spec
	}
	handler := spec.notifier(n.handler)
	if handler == nil {
		spec = n.run.spec
		handler = spec.notifier(n.handler)
	}
	spec.uses.add()
	return handler, spec
}

// notifier returns the handler of the type that sends messages, nil if there is
// none.
func (s *Spec) notifier(handler string) *Handler {
	for _, h := range s.Handlers {
		if h.Notifies && h.Type == handler {
			return h
		}
	}
	return nil
}

// kindOther is the kind of all failures beyond the bound of kinds.
const kindOther = "other"

// maxKind bounds the text by which failures are alike, in bytes.
const maxKind = 256

// kindOf is what failures that are alike have in common: the code, and the
// beginning of the message in which every word of ASCII letters and digits with a
// digit in it, such as a number or an id, is a #.
func kindOf(e *spi.Error) string {
	kind := strconv.AppendInt(make([]byte, 0, maxKind+16), int64(e.Code), 10)
	kind = append(kind, ' ')
	word, hasDigit := len(kind), false
	endWord := func() {
		if hasDigit {
			kind = append(kind[:word], '#')
		}
	}
	for _, c := range []byte(e.Message) {
		switch {
		case len(kind) >= maxKind:
			endWord()
			return string(kind)
		case c >= '0' && c <= '9':
			hasDigit = true
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		default:
			endWord()
			kind = append(kind, c)
			word, hasDigit = len(kind), false
			continue
		}
		kind = append(kind, c)
	}
	endWord()
	return string(kind)
}

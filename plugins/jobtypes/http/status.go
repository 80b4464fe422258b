package httpjob

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
)

// statusRange are the statuses from one to another.
type statusRange struct{ first, last int }

// parseStatuses reads elements such as 404 and 200-299.
func parseStatuses(list []string) ([]statusRange, error) {
	ranges := make([]statusRange, 0, len(list))
	for _, text := range list {
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.Atoi(strings.TrimSpace(first))
		b, errB := strconv.Atoi(strings.TrimSpace(last))
		if errA != nil || errB != nil || a < 100 || b > 599 || a > b {
			return nil, invalid(PropSuccessStatus, "has "+strconv.Quote(text)+", which is no status such as 404 and no range such as 200-299")
		}
		ranges = append(ranges, statusRange{a, b})
	}
	return ranges, nil
}

// isSuccess says whether the job takes a status for a success.
func (j *job) isSuccess(status int) bool {
	for _, r := range j.success {
		if r.first <= status && status <= r.last {
			return true
		}
	}
	return false
}

// codeOf is the code of a status that is a failure. The same request may succeed
// later when the server is at fault, busy, or out of patience.
func codeOf(status int) spi.Code {
	switch {
	case status == http.StatusTooManyRequests:
		return spi.CodeRateLimited
	case status >= http.StatusInternalServerError, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return spi.CodeUnavailable
	default:
		return spi.CodeFailed
	}
}

// statusText writes a status with the words of the standard, not the server's.
func statusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

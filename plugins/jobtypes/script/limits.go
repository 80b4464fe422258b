package script

import (
	"strconv"
	"time"
)

// limits are those of each process of a script; zero is none.
type limits struct {
	memory int64
	cpu    time.Duration
}

// seconds is the limit of the CPU in whole seconds.
func (l limits) seconds() int64 { return int64((l.cpu + time.Second - 1) / time.Second) }

// size writes a number of bytes.
func size(n int64) string {
	for _, unit := range []string{"bytes", "KiB", "MiB"} {
		if n%1024 != 0 {
			return strconv.FormatInt(n, 10) + " " + unit
		}
		n /= 1024
	}
	return strconv.FormatInt(n, 10) + " GiB"
}

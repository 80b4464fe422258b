package execution

import (
	"fmt"
	"runtime"
	"strconv"
)

// PoolSize returns how many items of a job run at once on one instance for a
// pool type: CPU is twice the cores, SINGLE_THREAD is 1, and a number is
// itself.
func PoolSize(poolType string) (int, error) {
	switch poolType {
	case "CPU":
		return 2 * runtime.NumCPU(), nil
	case "SINGLE_THREAD":
		return 1, nil
	}
	size, err := strconv.Atoi(poolType)
	if err != nil || size < 1 {
		return 0, fmt.Errorf("%q is no pool: it must be CPU, SINGLE_THREAD or a positive number", poolType)
	}
	return size, nil
}

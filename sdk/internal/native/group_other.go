//go:build !unix && !wasip1

package native

import "os"

// endGroup ends this program.
func endGroup() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill() // does not return
	}
}

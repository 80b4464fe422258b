//go:build unix

package reaper

import (
	"os/exec"
	"syscall"
	"testing"
)

// TestReaper lets a process end without having ended its programs, after its
// reaper was killed once.
func TestReaper(t *testing.T) {
	t.Parallel()
	r := New()
	program := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "/bin/sleep", "3600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.Add(cmd.Process.Pid)
		return cmd
	}
	first, spared := program(), program()
	r.Remove(spared.Process.Pid)
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait() // it was killed
	second := program()
	// So the pipe ends with the process.
	if err := r.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("the reaper ends with %v", err)
	}
	for _, cmd := range []*exec.Cmd{first, second} {
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Errorf("a program that was left ends with %v, want signal: killed", err)
		}
	}
	if err := spared.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a program that was not left has ended: %v", err)
	}
	_ = spared.Process.Kill()
	_ = spared.Wait() // it was killed
}

// TestReaperIsEnded closes one that has programs: it ends none.
func TestReaperIsEnded(t *testing.T) {
	t.Parallel()
	r := New()
	r.Add(1 << 30)
	pid := r.cmd.Process.Pid
	r.Close()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("the reaper runs after close")
	}
	r.Add(1 << 30)
	if r.pipe != nil {
		t.Error("a reaper was started after close")
	}
	r.Close()
}

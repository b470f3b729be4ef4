package e2e

import (
	"os/exec"
	"syscall"
)

// leash ends the process when this one dies, for instance by the timeout of go test.
func leash(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

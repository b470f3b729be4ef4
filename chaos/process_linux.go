package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// leash gives a process a group of its own, and an end when this process ends.
func leash(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(p *os.Process) error { return signalGroup(p, syscall.SIGKILL) }

func holdGroup(p *os.Process, stop bool) error {
	if stop {
		return signalGroup(p, syscall.SIGSTOP)
	}
	return signalGroup(p, syscall.SIGCONT)
}

func signalGroup(p *os.Process, signal syscall.Signal) error {
	err := syscall.Kill(-p.Pid, signal)
	if errors.Is(err, syscall.ESRCH) {
		return nil // it has ended by itself
	}
	return err
}

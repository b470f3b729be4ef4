//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
)

// Without a leash a crash of ours would leave a fleet behind; so it is not begun.
var errLinux = errors.New("the chaos run needs Linux, where a process can be bound to the end of another")

func leash(cmd *exec.Cmd) { cmd.Err = errLinux }

func killGroup(*os.Process) error { return errLinux }

func holdGroup(*os.Process, bool) error { return errLinux }

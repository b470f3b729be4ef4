package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// program is one process of the fleet with a keeper such as systemd: it is started again
// when it ends by itself, and stays away while the adversary wants it to.
type program struct {
	name string
	log  string // what it wrote, over all its lives
	env  []string

	mu     sync.Mutex
	path   string
	args   []string
	wanted bool
	cmd    *exec.Cmd
	gone   chan struct{} // closed when cmd has ended
	lives  int
	quits  int // ended by itself
}

// keeperRest is how long the keeper waits before it starts a program again that has
// ended by itself, as a service manager does.
const keeperRest = 500 * time.Millisecond

// spawn runs on one thread that lives as long as we do: the system ends the children of a
// thread that is gone, which is how nothing outlives us, whatever ends us.
var spawn = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range work {
			do()
		}
	}()
	return work
})

// start starts the program, with another binary if one is named.
func (p *program) start(path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if path != "" {
		p.path = path
	}
	p.wanted = true
	if p.cmd != nil {
		return nil
	}
	return p.live()
}

// live begins a life; the caller holds the lock.
func (p *program) live() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.path, p.args...) //nolint:noctx // ended by kill, which waits for it
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	leash(cmd)
	started := make(chan error)
	spawn() <- func() { started <- cmd.Start() }
	if err := errors.Join(<-started, log.Close()); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	gone := make(chan struct{})
	p.cmd, p.gone = cmd, gone
	p.lives++
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		p.mu.Lock()
		p.cmd = nil
		close(gone)
		again := p.wanted
		if again {
			p.quits++
		}
		p.mu.Unlock()
		if again {
			time.Sleep(keeperRest)
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.wanted && p.cmd == nil {
				_ = p.live() // a program that cannot be started is missed by whoever waits for it
			}
		}
	}()
	return nil
}

// kill ends the program with SIGKILL and returns when it is gone.
func (p *program) kill() error {
	p.mu.Lock()
	p.wanted = false
	cmd, gone := p.cmd, p.gone
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := killGroup(cmd.Process); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-gone
	return nil
}

// hold stops the program as a suspended virtual machine is stopped, or lets it go on.
func (p *program) hold(stop bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	return holdGroup(p.cmd.Process, stop)
}

func (p *program) history() (lives, quits int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lives, p.quits
}

// tail is the end of what the program wrote.
func (p *program) tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

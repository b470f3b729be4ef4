package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process and its descendants have used.
type usage struct {
	CPU    time.Duration
	Memory int64 // bytes; pages that several share count once
}

// clockTick is the unit of CPU times in /proc: Linux reports 100 a second on every
// platform that Go runs on.
const clockTick = time.Second / 100

// process is one line of /proc.
type process struct {
	pid, parent int
	name        string
	cpu         time.Duration // with that of its children that have ended
}

// processes lists what runs. Without /proc (macOS) the list is empty, and what needs it
// is left out of the results.
func processes() map[int]process {
	list := map[int]process{}
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range dirs {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if p, ok := parseStat(string(data)); ok {
			list[p.pid] = p
		}
	}
	return list
}

// parseStat reads pid (name) state ppid … utime stime cutime cstime, as proc(5) has it.
func parseStat(text string) (p process, ok bool) {
	open, shut := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return p, false
	}
	p.name = text[open+1 : shut]
	fields := strings.Fields(text[shut+1:])
	if len(fields) < 15 {
		return p, false
	}
	var err error
	if p.pid, err = strconv.Atoi(strings.TrimSpace(text[:open])); err != nil {
		return p, false
	}
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return p, false
	}
	for _, f := range fields[11:15] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return p, false
		}
		p.cpu += time.Duration(ticks) * clockTick
	}
	return p, true
}

// childNamed finds the child of this process whose program's name begins so; 0: none.
func childNamed(prefix string) int {
	for _, p := range processes() {
		if p.parent == os.Getpid() && strings.HasPrefix(p.name, prefix) {
			return p.pid
		}
	}
	return 0
}

// used adds up a process and its descendants. Everything is zero for one that is gone.
func used(root int) usage {
	all := processes()
	var sum usage
	for _, p := range all {
		for at, deep := p.pid, 0; at != 0 && deep < 64; deep++ {
			if at == root {
				sum.CPU += p.cpu
				sum.Memory += memory(p.pid)
				break
			}
			at = all[at].parent
		}
	}
	return sum
}

// memory is the proportional share of a process, in which PostgreSQL's shared buffers
// count once and not for every connection; where that may not be read, all it has mapped.
func memory(pid int) int64 {
	dir := "/proc/" + strconv.Itoa(pid)
	if data, err := os.ReadFile(dir + "/smaps_rollup"); err == nil {
		if kb := kilobytes(string(data), "Pss"); kb > 0 {
			return kb << 10
		}
	}
	data, err := os.ReadFile(dir + "/status")
	if err != nil {
		return 0
	}
	return kilobytes(string(data), "VmRSS") << 10
}

func kilobytes(text, name string) int64 {
	value, _, _ := strings.Cut(field(text, name), " ")
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// freshHeap reports the memory of a Go process of ours after it has collected its
// garbage: it does so when it reads a line.
func (c *child) freshHeap() (int64, error) {
	if err := c.ask("collect"); err != nil {
		return 0, err
	}
	return used(c.pid).Memory, nil
}

// lines writes whole lines to the progress of the run, so that those of two processes do
// not run into each other.
type lines struct {
	to   interface{ Write([]byte) (int, error) }
	head string
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		if _, err := fmt.Fprintf(l.to, "%s%s\n", l.head, l.rest[:i]); err != nil {
			return 0, err
		}
		l.rest = l.rest[i+1:]
	}
}

package devstack

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// livePause is how often a long task speaks up where its line cannot be rewritten.
const livePause = 10 * time.Second

// progress tells people what happens. On a terminal a long task keeps rewriting one
// line; elsewhere it adds a line now and then.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	live     bool // the last thing written was a line to be rewritten
	lastLive time.Time
}

// newProgress writes to out, which may be nil.
func newProgress(out io.Writer) *progress {
	if out == nil {
		out = io.Discard
	}
	p := &progress{out: out}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// sayf writes one line that stays.
func (p *progress) sayf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	_, _ = fmt.Fprintf(p.out, format+"\n", args...) // nobody to tell if telling fails
}

// livef writes what a long task is doing now.
func (p *progress) livef(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.terminal:
		p.clear()
		_, _ = fmt.Fprintf(p.out, format, args...)
		p.live = true
	case time.Since(p.lastLive) >= livePause:
		p.lastLive = time.Now()
		_, _ = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// clear takes a line that is being rewritten off the terminal.
func (p *progress) clear() {
	if p.live {
		_, _ = io.WriteString(p.out, "\r\x1b[K")
		p.live = false
	}
}

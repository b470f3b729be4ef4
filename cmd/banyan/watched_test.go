package main

import (
	"bytes"
	"context"
	"regexp"
	"sync"
)

// watched is an output that a test can wait for.
type watched struct {
	mu      sync.Mutex
	buffer  bytes.Buffer
	changed chan struct{} // closed and replaced at each write
}

func newWatched() *watched { return &watched{changed: make(chan struct{})} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	return w.buffer.Write(p)
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buffer.String()
}

// wait gives what matched, or nil when ctx is done first.
func (w *watched) wait(ctx context.Context, what *regexp.Regexp) []string {
	for {
		w.mu.Lock()
		found, changed := what.FindStringSubmatch(w.buffer.String()), w.changed
		w.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/conformance"
	"github.com/banyanhq/banyan/channels/console"
)

// screen is a writer that may be read while others write.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) bodies(m channels.Message) (bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(s.text.String()) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "  ", 5)
		if len(fields) == 5 && fields[2] == m.Member {
			bodies = append(bodies, fields[4])
		}
	}
	return bodies
}

func TestConformance(t *testing.T) {
	conformance.Run(t, func(*testing.T) conformance.Harness {
		s := new(screen)
		return conformance.Harness{Channel: console.New(console.Config{Out: s}), Delivered: s.bodies}
	})
}

func message(key string) channels.Message {
	return channels.Message{
		Key: key, Channel: "wecom", Name: "card-offer", Member: "m-1024", Body: "月卡 199",
		At: time.Date(2026, 12, 1, 20, 15, 3, 0, time.FixedZone("", 8*3600)),
	}
}

func ExampleChannel() {
	var out strings.Builder
	c := console.New(console.Config{Out: &out})
	_, err := c.Deliver(context.Background(), message("k"))
	fmt.Print(out.String(), err)
	// Output:
	// 2026-12-01 20:15:03  wecom  m-1024  card-offer  月卡 199
	// <nil>
}

func TestABodyCannotSteerTheTerminal(t *testing.T) {
	s := new(screen)
	m := message("k")
	m.Body = "one\ntwo \x1b[2Jthree \u202eruof 👨‍👩‍👧 好"
	if _, err := console.New(console.Config{Out: s}).Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	want := `2026-12-01 20:15:03  wecom  m-1024  card-offer  one\ntwo \x1b[2Jthree \u202eruof 👨‍👩‍👧 好` + "\n"
	if got := s.text.String(); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestQuietTakesAndPrintsNothing(t *testing.T) {
	s := new(screen)
	if _, err := console.New(console.Config{Out: s, Quiet: true}).Deliver(t.Context(), message("k")); err != nil {
		t.Fatal(err)
	}
	if s.text.Len() != 0 {
		t.Errorf("printed %q", s.text.String())
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := new(screen)
	c := console.New(console.Config{Out: s})
	const memory = 16_384
	for n := range memory + 1 { // one more than it remembers: the first is forgotten
		if _, err := c.Deliver(t.Context(), message(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{memory, 1, 0} {
		if _, err := c.Deliver(t.Context(), message(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.bodies(message(""))); got != memory+2 {
		t.Errorf("printed %d lines, want %d: only the forgotten key again", got, memory+2)
	}
}

// broken takes so many bytes and fails.
type broken int

func (b broken) Write(p []byte) (int, error) {
	return min(int(b), len(p)), errors.New("the pipe is broken")
}

func TestABrokenWriter(t *testing.T) {
	for taken, want := range map[int]string{0: "retry: write_failed", 5: "unknown: write_broken", 1 << 20: ""} {
		_, err := console.New(console.Config{Out: broken(taken)}).Deliver(t.Context(), message("k"))
		if got := text(err); got != want {
			t.Errorf("%d bytes taken: %q, want %q", taken, got, want)
		}
	}
}

// TestABlockedWriterHoldsNobodyElse has one message stuck in the writer and another
// that stops waiting for it.
func TestABlockedWriterHoldsNobodyElse(t *testing.T) {
	r, w := io.Pipe()
	c := console.New(console.Config{Out: w})
	stuck := make(chan error, 1)
	go func() {
		_, err := c.Deliver(context.Background(), message("stuck"))
		stuck <- err
	}()
	if _, err := r.Read(make([]byte, 1)); err != nil { // the first is inside the writer
		t.Fatal(err)
	}
	m := message("waiting")
	m.Deadline = time.Now().Add(20 * time.Millisecond)
	if _, err := c.Deliver(t.Context(), m); text(err) != "refused: deadline" {
		t.Errorf("the one that waits: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if err := <-stuck; err != nil {
		t.Errorf("the one that was stuck: %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

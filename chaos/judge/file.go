// Package judge proves from the outside that a run lost nothing and did nothing twice.
// It shares no code with the engine. What must have happened it works out by itself,
// from the file of events (what was told, when, and when it was accepted) and by the
// rules of docs/time.md; what did happen it reads with SQL of its own from the tables,
// from the journal of the receiver of messages, and from Temporal.
package judge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Event is an event as it was told.
type Event struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Member     string          `json:"member"`
	Time       time.Time       `json:"time"` // campaign time
	Properties json.RawMessage `json:"properties"`
}

// Line is one line of the event file. It holds one of an event, a repetition, an offer
// and a version. Told and Answered are real moments: before the first try, and after the
// first answer that accepted it; zero, where none came.
type Line struct {
	Event    *Event    `json:"event,omitempty"`
	Again    string    `json:"again,omitempty"` // id of an event that was told once more and accepted as a duplicate
	Offer    *Seen     `json:"offer,omitempty"`
	Version  *Version  `json:"version,omitempty"`
	Told     time.Time `json:"told,omitzero"`
	Answered time.Time `json:"answered,omitzero"`
	Tries    int       `json:"tries,omitempty"`
}

// Seen is an offer as the API told it to a member.
type Seen struct {
	Member    string    `json:"member"`
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	OpenedAt  time.Time `json:"opened_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Price     string    `json:"price"`
}

// Version is a submitted version of a campaign.
type Version struct {
	Campaign string `json:"campaign"`
	Number   int    `json:"number"`
}

// Writer appends to an event file. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	file *os.File
}

// Create makes an event file.
func Create(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &Writer{file: file}, nil
}

// Write appends a line.
func (w *Writer) Write(l *Line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.file.Write(append(text, '\n'))
	return err
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

// told is an event file, read.
type told struct {
	events   map[string]*Line
	again    int
	tries    int
	offers   []*Seen
	versions []*Line
}

func readFile(path string) (*told, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	t := &told{events: map[string]*Line{}}
	return t, eachLine(file, func(text []byte) error {
		var l Line
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("the event file is damaged: %w", err)
		}
		t.tries += l.Tries
		switch {
		case l.Event != nil:
			if t.events[l.Event.ID] != nil {
				return fmt.Errorf("event %s stands twice in the event file", l.Event.ID)
			}
			t.events[l.Event.ID] = &l
		case l.Offer != nil:
			t.offers = append(t.offers, l.Offer)
		case l.Version != nil:
			t.versions = append(t.versions, &l)
		default:
			t.again++
		}
		return nil
	})
}

// taken is a line of the receiver's journal.
type taken struct {
	Key     string `json:"key"`
	Member  string `json:"member"`
	Message string `json:"message"`
	Body    string `json:"body"`
	Times   int    `json:"times"`
	Digest  string `json:"digest"`
}

// readJournal gives what the receiver has, by key; a later line of a key replaces the
// former, and may differ from it in nothing but the count.
func readJournal(path string) (map[string]taken, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	all := map[string]taken{}
	return all, eachLine(file, func(text []byte) error {
		var t taken
		if err := json.Unmarshal(text, &t); err != nil {
			return fmt.Errorf("the receiver's journal is damaged: %w", err)
		}
		if before, ok := all[t.Key]; ok && (before.Digest != t.Digest || before.Times+1 != t.Times) {
			return fmt.Errorf("the receiver's journal has two messages under the key %s", t.Key)
		}
		all[t.Key] = t
		return nil
	})
}

func eachLine(r io.Reader, do func([]byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := do(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

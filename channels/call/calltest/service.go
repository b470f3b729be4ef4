// Package calltest is a service for the step `call` that does each key once, as its
// documentation asks, remembers what it got and can misbehave: for the tests of callers,
// and for tests that kill one side or the other.
package calltest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/banyanhq/banyan/channels/call"
	"github.com/banyanhq/banyan/channels/outbound"
)

const (
	maxBody = 1 << 20
	// stall bounds how long an answer is kept back whose caller does not go away.
	stall = time.Minute
)

// Fault is what one request meets.
type Fault string

// Faults.
const (
	None        Fault = ""
	Drop        Fault = "drop"        // does it, and breaks the connection off without an answer
	Cut         Fault = "cut"         // does it, and breaks off in the middle of the answer
	Stall       Fault = "stall"       // does it, and never answers
	Busy        Fault = "busy"        // 429 with Retry-After
	Unavailable Fault = "unavailable" // 500
	NotFound    Fault = "not_found"   // 404
	Redirect    Fault = "redirect"    // 307 to itself
	Unfit       Fault = "unfit"       // does it, and answers something else than it should
	Huge        Fault = "huge"        // does it, and answers more than anybody reads
)

// Record is one key that was done.
type Record struct {
	call.Payload
	Times  int    // how often it came and was done or answered again
	Answer []byte // the same each time
}

// Service is an http.Handler, safe for concurrent use.
type Service struct {
	// Secret verifies signatures.
	Secret string
	// RetryAfter is what Busy asks for; a second unless set.
	RetryAfter time.Duration
	// Answer makes the answer to a call, once for each key; nil: {}.
	Answer func(p call.Payload) any
	// Meet chooses what a request meets for which Next says nothing; before is how many came
	// under its key before. nil: what Always says.
	Meet func(p call.Payload, before int) Fault

	mu       sync.Mutex
	records  map[string]*Record
	script   []Fault
	always   Fault
	requests int
	came     map[string]int // by key
	bad      []string       // what no good caller sends
}

// Next makes the next requests meet these faults.
func (s *Service) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, faults...)
}

// Always makes every request meet a fault for which Next says nothing.
func (s *Service) Always(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = f
}

// Done lists what was done, by key.
func (s *Service) Done() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Record
	for _, key := range slices.Sorted(maps.Keys(s.records)) {
		out = append(out, *s.records[key])
	}
	return out
}

// Requests counts all that came.
func (s *Service) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Came counts the requests under a key.
func (s *Service) Came(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.came[key]
}

// Bad lists what a good caller would not have sent: unsigned or malformed requests, and
// another body under a key that was done.
func (s *Service) Bad() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bad)
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	status, answer, fault := s.take(r, body)
	switch fault {
	case Drop:
		panic(http.ErrAbortHandler)
	case Cut:
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)+100))
		_, _ = w.Write(answer)
		panic(http.ErrAbortHandler)
	case Stall:
		wait, cancel := context.WithTimeout(r.Context(), stall)
		defer cancel()
		<-wait.Done()
		panic(http.ErrAbortHandler)
	case Busy:
		w.Header().Set("Retry-After", strconv.Itoa(int(max(s.RetryAfter, time.Second)/time.Second)))
	case Redirect:
		w.Header().Set("Location", "/elsewhere")
	case None, Unavailable, NotFound, Unfit, Huge:
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(answer) // whoever does not listen any more comes again
}

func (s *Service) take(r *http.Request, body []byte) (status int, answer []byte, fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	wrong := func(status int, what string) (int, []byte, Fault) {
		s.bad = append(s.bad, what)
		return status, []byte(`{"error":` + strconv.Quote(what) + `}`), None
	}
	if err := outbound.Verify(s.Secret, r.Header.Get(outbound.SignatureHeader), body, time.Now(), outbound.DefaultTolerance); err != nil {
		return wrong(http.StatusUnauthorized, err.Error())
	}
	var p call.Payload
	if err := json.Unmarshal(body, &p); err != nil || r.Method != http.MethodPost || p.Key == "" ||
		r.Header.Get(outbound.KeyHeader) != outbound.HeaderKey(p.Key) || r.Header.Get("Content-Type") != "application/json" {
		return wrong(http.StatusBadRequest, "malformed")
	}
	if s.came == nil {
		s.came = map[string]int{}
	}
	before := s.came[p.Key]
	s.came[p.Key]++
	switch fault = s.always; {
	case len(s.script) > 0:
		fault, s.script = s.script[0], s.script[1:]
	case s.Meet != nil:
		fault = s.Meet(p, before)
	}
	switch fault {
	case Busy:
		return http.StatusTooManyRequests, nil, fault
	case Unavailable:
		return http.StatusInternalServerError, nil, fault
	case NotFound:
		return http.StatusNotFound, nil, fault
	case Redirect:
		return http.StatusTemporaryRedirect, nil, fault
	case None, Drop, Cut, Stall, Unfit, Huge: // it is done
	}
	done, ok := s.records[p.Key]
	if !ok {
		done = &Record{Payload: p, Answer: []byte("{}")}
		if s.Answer != nil {
			var err error
			if done.Answer, err = json.Marshal(s.Answer(p)); err != nil {
				return wrong(http.StatusInternalServerError, err.Error())
			}
		}
		if s.records == nil {
			s.records = map[string]*Record{}
		}
		s.records[p.Key] = done
	} else if string(done.Body) != string(p.Body) || done.Member != p.Member || !done.At.Equal(p.At) {
		return wrong(http.StatusUnprocessableEntity, "another body under a key that was done")
	}
	done.Times++
	switch fault {
	case Unfit:
		return http.StatusOK, []byte(`{"level": 7}`), fault
	case Huge:
		return http.StatusOK, []byte(`{"level": "` + strings.Repeat("x", 1<<17) + `"}`), fault
	case None, Drop, Cut, Stall, Busy, Unavailable, NotFound, Redirect:
	}
	return http.StatusOK, done.Answer, fault
}

// Package refundtest is a shop that pays an order back once for each key, as its
// documentation asks, remembers what it got and can misbehave.
package refundtest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/banyanhq/banyan/channels/outbound"
	"github.com/banyanhq/banyan/channels/refund"
)

const maxBody = 1 << 20

// Fault is what one request meets.
type Fault string

// Faults.
const (
	None        Fault = ""
	Drop        Fault = "drop"        // pays back, and breaks the connection off without an answer
	Stall       Fault = "stall"       // pays back, and never answers
	Busy        Fault = "busy"        // 429 with Retry-After
	Unavailable Fault = "unavailable" // 500
	Unknown     Fault = "unknown"     // 404: there is no such order
	Stranger    Fault = "stranger"    // 401
	Redirect    Fault = "redirect"    // 307 to elsewhere
)

// Record is one key that was paid back.
type Record struct {
	refund.Payload
	ID    string // the shop's own
	Times int    // how often it came and was paid back or answered again
}

// Shop is an http.Handler, safe for concurrent use.
type Shop struct {
	// Secret verifies signatures.
	Secret string
	// RetryAfter is what Busy asks for; a second unless set.
	RetryAfter time.Duration
	// Meet chooses what a request meets for which Next says nothing; before is how many came
	// under its key before. nil: None.
	Meet func(p refund.Payload, before int) Fault
	// Paid is told of each key, once, when it is paid back; nil: nobody is.
	Paid func(Record)

	mu      sync.Mutex
	records map[string]*Record
	script  []Fault
	came    map[string]int // by key
	bad     []string       // what no good caller sends
}

// Next makes the next requests meet these faults.
func (s *Shop) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, faults...)
}

// Done lists what was paid back, by key.
func (s *Shop) Done() (out []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.records)) {
		out = append(out, *s.records[key])
	}
	return out
}

// Came counts the requests under a key.
func (s *Shop) Came(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.came[key]
}

// Bad lists what a good caller would not have sent: unsigned or malformed requests, another
// body under a key that was paid back, and another key for an order that was.
func (s *Shop) Bad() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bad)
}

// ServeHTTP implements http.Handler.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	status, answer, fault, paid := s.take(r, body)
	if paid != nil && s.Paid != nil {
		s.Paid(*paid)
	}
	switch fault {
	case Drop:
		panic(http.ErrAbortHandler)
	case Stall:
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
		panic(http.ErrAbortHandler)
	case Busy:
		w.Header().Set("Retry-After", strconv.Itoa(int(max(s.RetryAfter, time.Second)/time.Second)))
	case Redirect:
		w.Header().Set("Location", "/elsewhere")
	case None, Unavailable, Unknown, Stranger:
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(answer) // whoever does not listen any more comes again
}

func (s *Shop) take(r *http.Request, body []byte) (status int, answer []byte, fault Fault, paid *Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wrong := func(status int, what string) (int, []byte, Fault, *Record) {
		s.bad = append(s.bad, what)
		return status, []byte(`{"error":` + strconv.Quote(what) + `}`), None, nil
	}
	if err := outbound.Verify(s.Secret, r.Header.Get(outbound.SignatureHeader), body, time.Now(), outbound.DefaultTolerance); err != nil {
		return wrong(http.StatusUnauthorized, err.Error())
	}
	var p refund.Payload
	if err := json.Unmarshal(body, &p); err != nil || r.Method != http.MethodPost || p.Key == "" || p.Order == "" || p.Amount.Minor <= 0 ||
		r.Header.Get(outbound.KeyHeader) != outbound.HeaderKey(p.Key) || r.Header.Get("Content-Type") != "application/json" {
		return wrong(http.StatusBadRequest, "malformed")
	}
	if s.came == nil {
		s.came, s.records = map[string]int{}, map[string]*Record{}
	}
	before := s.came[p.Key]
	s.came[p.Key]++
	switch {
	case len(s.script) > 0:
		fault, s.script = s.script[0], s.script[1:]
	case s.Meet != nil:
		fault = s.Meet(p, before)
	}
	refusals := map[Fault]int{
		Busy: http.StatusTooManyRequests, Unavailable: http.StatusInternalServerError, Unknown: http.StatusNotFound, Stranger: http.StatusUnauthorized,
		Redirect: http.StatusTemporaryRedirect,
	}
	if status, refused := refusals[fault]; refused {
		return status, nil, fault, nil
	}
	done, ok := s.records[p.Key]
	switch {
	case ok && done.Payload != p && (done.Order != p.Order || done.Amount != p.Amount || !done.At.Equal(p.At)):
		return wrong(http.StatusUnprocessableEntity, "another body under a key that was paid back")
	case !ok:
		for _, other := range s.records {
			if other.Order == p.Order {
				return wrong(http.StatusConflict, "another key for order "+p.Order)
			}
		}
		done = &Record{Payload: p, ID: "re-" + strconv.Itoa(len(s.records)+1)}
		s.records[p.Key] = done
		copied := *done
		paid = &copied
	}
	done.Times++
	return http.StatusOK, []byte(`{"id":` + strconv.Quote(done.ID) + `}`), fault, paid
}

// Package webhooktest is a receiver for the webhook channel that remembers what it got
// and can misbehave: for the tests of senders, for tests that kill one side or the
// other, and for the demo. It judges as strictly as a good receiver should.
package webhooktest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/banyanhq/banyan/channels/webhook"
)

// maxBody is far above any message of ours (a text of 64 KiB, with its JSON escapes).
const maxBody = 1 << 20

// Record is one message that was taken.
type Record struct {
	webhook.Payload
	First time.Time `json:"first"` // when it came first, by the receiver's clock
	Times int       `json:"times"` // how often it was taken, the first time among them
	ID    string    `json:"id"`    // what the receiver answers as its own id
	// Digest is the SHA-256 of the first request's body, against which others under the
	// same key are compared.
	Digest string `json:"digest"`
}

// Stats counts requests by what became of them. Each request is in one of Accepted,
// Repeated, Unsigned, Malformed, Conflicts and NotTaken.
type Stats struct {
	Requests  int           `json:"requests"`
	Accepted  int           `json:"accepted"`  // taken for the first time: distinct keys
	Repeated  int           `json:"repeated"`  // taken again: answered alike, delivered once
	Unsigned  int           `json:"unsigned"`  // signature missing, wrong or stale
	Malformed int           `json:"malformed"` // no POST of a payload with its key
	Conflicts int           `json:"conflicts"` // another body under a key that was taken
	NotTaken  int           `json:"not_taken"` // turned away by a fault or by a broken journal
	Faults    map[Fault]int `json:"faults"`
}

// Receiver is an http.Handler, safe for concurrent use.
type Receiver struct {
	opts Options

	mu      sync.Mutex
	records map[string]Record
	arrived map[string]int // requests by key
	met     map[string]int // faults by key
	script  []Fault
	stats   Stats
	journal *journal
	changed chan struct{} // closed and replaced whenever stats change
}

// NewReceiver makes a receiver and reads its journal, if it has one.
func NewReceiver(opts Options) (*Receiver, error) {
	opts.Tolerance = cmp.Or(opts.Tolerance, webhook.DefaultTolerance)
	opts.RetryAfter = cmp.Or(opts.RetryAfter, time.Second)
	opts.Delay = cmp.Or(opts.Delay, 100*time.Millisecond)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	r := &Receiver{
		opts: opts, records: map[string]Record{}, arrived: map[string]int{}, met: map[string]int{},
		stats: Stats{Faults: map[Fault]int{}}, changed: make(chan struct{}),
	}
	if opts.Journal != "" {
		var err error
		if r.journal, r.records, err = openJournal(opts.Journal); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Close closes the journal.
func (r *Receiver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.journal.close()
}

// Delivered gives every message that was taken, by key, those of the journal among them.
func (r *Receiver) Delivered() map[string]Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.records)
}

// Stats gives the counts since this receiver was made.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshot()
}

// Next makes the next good requests meet these faults, one each, whatever the plan says.
func (r *Receiver) Next(faults ...Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script = append(r.script, faults...)
}

// Wait returns as soon as the counts are as wanted, or with ctx's error.
func (r *Receiver) Wait(ctx context.Context, wanted func(Stats) bool) error {
	for {
		r.mu.Lock()
		stats, changed := r.snapshot(), r.changed
		r.mu.Unlock()
		if wanted(stats) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ServeHTTP takes one request.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	payload, status := r.examine(req, body, err)
	if status != 0 {
		http.Error(w, http.StatusText(status), status)
		return
	}
	fault, record, status := r.take(payload, body)
	if status == http.StatusOK && r.opts.Taken != nil {
		r.opts.Taken(record)
	}
	switch fault {
	case FaultDrop, FaultLose:
		panic(http.ErrAbortHandler) // net/http's way to hang up without an answer
	case FaultStall:
		<-req.Context().Done()
		return
	case FaultSlow:
		select {
		case <-time.After(r.opts.Delay):
		case <-req.Context().Done():
			return
		}
	case FaultThrottle:
		w.Header().Set("Retry-After", strconv.Itoa(int(r.opts.RetryAfter/time.Second)))
	case FaultNone, FaultFail, FaultRefuse:
	}
	if status != http.StatusOK {
		http.Error(w, http.StatusText(status), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// The answer to a repeated request is the answer to the first.
	_ = json.NewEncoder(w).Encode(map[string]string{"id": record.ID})
}

// examine turns away what no good receiver takes. A status of 0 means that all is well.
func (r *Receiver) examine(req *http.Request, body []byte, unread error) (webhook.Payload, int) {
	count := func(counter *int, status int) (webhook.Payload, int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stats.Requests++
		*counter++
		r.notify()
		return webhook.Payload{}, status
	}
	if req.Method != http.MethodPost {
		return count(&r.stats.Malformed, http.StatusMethodNotAllowed)
	}
	if unread != nil {
		return count(&r.stats.Malformed, http.StatusBadRequest)
	}
	if r.opts.Secret != "" {
		header := req.Header.Get(webhook.SignatureHeader)
		if webhook.Verify(r.opts.Secret, header, body, r.opts.Now(), r.opts.Tolerance) != nil {
			return count(&r.stats.Unsigned, http.StatusUnauthorized)
		}
	}
	var payload webhook.Payload
	if json.Unmarshal(body, &payload) != nil || payload.Key == "" ||
		req.Header.Get(webhook.KeyHeader) != webhook.HeaderKey(payload.Key) {
		return count(&r.stats.Malformed, http.StatusBadRequest)
	}
	return payload, 0
}

// take decides on a good request, in one step, so that two requests with one key that
// come together are one delivery.
func (r *Receiver) take(payload webhook.Payload, body []byte) (Fault, Record, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.notify()
	r.stats.Requests++
	fault := r.fault(payload.Key)
	if !fault.takes() {
		r.stats.NotTaken++
		return fault, Record{}, map[Fault]int{
			FaultThrottle: http.StatusTooManyRequests,
			FaultFail:     http.StatusInternalServerError,
			FaultRefuse:   http.StatusUnprocessableEntity,
		}[fault]
	}

	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	record, again := r.records[payload.Key]
	if again && record.Digest != digest {
		r.stats.Conflicts++
		return FaultNone, Record{}, http.StatusUnprocessableEntity
	}
	if !again {
		id := sha256.Sum256([]byte(payload.Key))
		record = Record{Payload: payload, First: r.opts.Now(), ID: "wh-" + hex.EncodeToString(id[:8]), Digest: digest}
	}
	record.Times++
	if err := r.journal.append(record); err != nil {
		r.stats.NotTaken++
		return FaultNone, Record{}, http.StatusInternalServerError
	}
	r.records[payload.Key] = record
	if again {
		r.stats.Repeated++
	} else {
		r.stats.Accepted++
	}
	return fault, record, http.StatusOK
}

// fault chooses what a key's next request meets: the script first, then the plan.
func (r *Receiver) fault(key string) Fault {
	n := r.arrived[key]
	r.arrived[key]++
	var fault Fault
	if len(r.script) > 0 {
		fault, r.script = r.script[0], r.script[1:]
	} else {
		fault = r.opts.Plan.fault(key, n, r.met[key])
	}
	if fault != FaultNone {
		r.met[key]++
		r.stats.Faults[fault]++
	}
	return fault
}

func (r *Receiver) snapshot() Stats {
	stats := r.stats
	stats.Faults = maps.Clone(r.stats.Faults)
	return stats
}

func (r *Receiver) notify() {
	close(r.changed)
	r.changed = make(chan struct{})
}

package webhooktest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
)

func receiver(t *testing.T, opts webhooktest.Options) *webhooktest.Receiver {
	t.Helper()
	r, err := webhooktest.NewReceiver(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func payload(key, text string) string {
	return fmt.Sprintf(`{"key":%q,"member":"m-1","body":%q}`, key, text)
}

// post sends a request and gives the status; 0 is a connection that was hung up.
func post(r http.Handler, key, body string, change func(*http.Request)) (status int) {
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			status = 0
		}
	}()
	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	req.Header.Set(webhook.KeyHeader, key)
	if change != nil {
		change(req)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Code
}

func TestItTakesAKeyOnce(t *testing.T) {
	r := receiver(t, webhooktest.Options{})
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if got := post(r, "k", payload("k", "text"), nil); got != http.StatusOK {
				t.Errorf("status %d", got)
			}
		})
	}
	group.Wait()
	if got := post(r, "k", payload("k", "another text"), nil); got != http.StatusUnprocessableEntity {
		t.Errorf("another body under the same key: status %d", got)
	}
	stats, record := r.Stats(), r.Delivered()["k"]
	if stats.Accepted != 1 || stats.Repeated != 19 || stats.Conflicts != 1 || record.Times != 20 || record.Body != "text" {
		t.Errorf("stats %+v, record %+v", stats, record)
	}
}

func TestItIsStrict(t *testing.T) {
	const secret = "a shared secret for tests alone"
	r := receiver(t, webhooktest.Options{Secret: secret})
	sign := func(body string, at time.Time) func(*http.Request) {
		return func(req *http.Request) {
			req.Header.Set(webhook.SignatureHeader, webhook.Sign([]byte(body), at, secret))
		}
	}
	good := payload("k", "text")
	for name, c := range map[string]struct {
		key, body string
		change    func(*http.Request)
		want      int
	}{
		"good":        {"k", good, sign(good, time.Now()), http.StatusOK},
		"unsigned":    {"k", good, nil, http.StatusUnauthorized},
		"stale":       {"k", good, sign(good, time.Now().Add(-time.Hour)), http.StatusUnauthorized},
		"tampered":    {"k", good, sign("{}", time.Now()), http.StatusUnauthorized},
		"not JSON":    {"k", "x", sign("x", time.Now()), http.StatusBadRequest},
		"no key":      {"", "{}", sign("{}", time.Now()), http.StatusBadRequest},
		"another key": {"l", good, sign(good, time.Now()), http.StatusBadRequest},
		"not a POST":  {"k", good, func(r *http.Request) { r.Method = http.MethodGet }, http.StatusMethodNotAllowed},
		"too large":   {"k", strings.Repeat("x", 2<<20), nil, http.StatusBadRequest},
	} {
		if got := post(r, c.key, c.body, c.change); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
	if s := r.Stats(); s.Accepted != 1 || s.Unsigned != 3 || s.Malformed != 5 || s.Requests != 9 {
		t.Errorf("stats %+v", s)
	}
}

// TestThePlanDependsOnTheSeedAlone runs a plan in two orders.
func TestThePlanDependsOnTheSeedAlone(t *testing.T) {
	run := func(seed uint64, backwards bool) string {
		r := receiver(t, webhooktest.Options{Plan: webhooktest.Plan{Seed: seed, Faults: 2, Shares: []webhooktest.Share{
			{Fault: webhooktest.FaultDrop, Of: 0.3}, {Fault: webhooktest.FaultLose, Of: 0.3}, {Fault: webhooktest.FaultFail, Of: 0.3},
		}}})
		outcome := make([]string, 30)
		for n := range outcome {
			if backwards {
				n = len(outcome) - 1 - n
			}
			key := fmt.Sprint(n)
			for range 3 { // at most two faults, so one of them is taken
				outcome[n] += fmt.Sprint(post(r, key, payload(key, "text"), nil), " ")
			}
			if !strings.Contains(outcome[n], "200") {
				t.Errorf("key %s never gets through: %s", key, outcome[n])
			}
		}
		if got := len(r.Delivered()); got != len(outcome) {
			t.Errorf("%d delivered, want %d", got, len(outcome))
		}
		return strings.Join(outcome, "\n")
	}
	if run(1, false) != run(1, true) {
		t.Error("the order of requests changes who meets what")
	}
	if run(1, false) == run(2, false) {
		t.Error("two seeds do the same")
	}
}

func TestTheJournalOutlivesTheReceiver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "receiver.jsonl")
	first := receiver(t, webhooktest.Options{Journal: path})
	first.Next(webhooktest.FaultNone, webhooktest.FaultDrop)
	post(first, "a", payload("a", "text"), nil)
	if got := post(first, "b", payload("b", "text"), nil); got != 0 {
		t.Errorf("the dropped answer has status %d", got)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A kill in the midst of the third line.
	if err := os.WriteFile(path, append(text, `{"key":"c","bo`...), 0o600); err != nil {
		t.Fatal(err)
	}

	for range 2 { // the second start finds what the first has mended
		again := receiver(t, webhooktest.Options{Journal: path})
		if d := again.Delivered(); len(d) < 2 || d["a"].Times == 0 || d["b"].Times == 0 {
			t.Fatalf("after a new start: %v", d)
		}
		for _, key := range []string{"a", "b", "c"} {
			if got := post(again, key, payload(key, "text"), nil); got != http.StatusOK {
				t.Errorf("%s again: status %d", key, got)
			}
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	last := receiver(t, webhooktest.Options{Journal: path}).Delivered()
	if len(last) != 3 || last["a"].Times != 3 || last["c"].Times != 2 {
		t.Errorf("in the end: %v", last)
	}

	if err := os.WriteFile(path, []byte("no journal\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := webhooktest.NewReceiver(webhooktest.Options{Journal: path}); err == nil {
		t.Error("a file that is no journal is taken, and would be overwritten")
	}
}

func TestWait(t *testing.T) {
	r := receiver(t, webhooktest.Options{})
	go post(r, "k", payload("k", "text"), nil)
	if err := r.Wait(t.Context(), func(s webhooktest.Stats) bool { return s.Accepted == 1 }); err != nil {
		t.Error(err)
	}
}

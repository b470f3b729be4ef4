package demo_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/demo"
)

// shop is an API that keeps what it is told, and is out of order now and then.
type shop struct {
	t *testing.T

	mu      sync.Mutex
	began   time.Time
	calls   []string
	members []string
	heard   []told
	outages int // answers left that say "not now"
	looks   int // at the campaign, since the last event
}

type told struct {
	id    string
	now   time.Time // on the campaign's clock
	alone bool
}

func (s *shop) now() time.Time { return demo.From.Add(time.Since(s.began) * demo.Factor) }

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	if r.Header.Get("Authorization") != "Bearer secret" {
		s.t.Errorf("%s came without the key", r.URL.Path)
	}
	if r.URL.Path != "/v1/campaigns/trial" {
		s.calls = append(s.calls, r.URL.Path)
	}
	switch r.URL.Path {
	case "/v1/campaigns":
		fmt.Fprint(w, `{"campaign": "trial"}`)
	case "/v1/campaigns/trial/start":
		if want := fmt.Sprintf(`"factor":%d`, demo.Factor); !strings.Contains(string(body), want) {
			s.t.Errorf("start with %s", body)
		}
		s.began = time.Now()
		fmt.Fprint(w, `{}`)
	case "/v1/members/batch":
		s.members = slices.Collect(strings.Lines(string(body)))
		fmt.Fprint(w, `{}`)
	case "/v1/events", "/v1/events/batch":
		s.events(w, r.URL.Path == "/v1/events", body)
	case "/v1/campaigns/trial":
		s.looks++
		active := max(0, 3-s.looks)
		fmt.Fprintf(w, `{"now": %q, "counts": [{"state": "active", "members": %d}, {"state": "done", "members": 7}]}`,
			s.now().Format(time.RFC3339Nano), active)
	case "/v1/campaigns/trial/report":
		state := "sent"
		if s.looks < 5 {
			state = "claimed"
		}
		fmt.Fprintf(w, `{"messages": [{"message": "welcome", "state": %q, "messages": 2}]}`, state)
	default:
		s.t.Errorf("unexpected %s", r.URL.Path)
	}
}

func (s *shop) events(w http.ResponseWriter, alone bool, body []byte) {
	if s.outages > 0 {
		s.outages--
		http.Error(w, `{"detail": "not now"}`, http.StatusServiceUnavailable)
		return
	}
	s.looks = 0
	duplicates := 0
	for text := range strings.Lines(string(body)) {
		var e map[string]any
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			s.t.Error(err)
		}
		if e["arrives"] != nil || e["type"] != "order.paid" {
			s.t.Errorf("told %s", text)
		}
		id, _ := e["id"].(string)
		if slices.ContainsFunc(s.heard, func(t told) bool { return t.id == id }) {
			duplicates++
		}
		s.heard = append(s.heard, told{id, s.now(), alone})
	}
	status := "accepted"
	if duplicates > 0 {
		status = "duplicate"
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"status": %q, "duplicates": %d}`, status, duplicates)
}

func event(id string, after time.Duration) string {
	return fmt.Sprintf(`{"arrives": %q, "id": %q, "type": "order.paid", "member": "m"}`+"\n", demo.From.Add(after).Format(time.RFC3339Nano), id)
}

func play(t *testing.T, s *shop, events string) (*demo.Result, error) {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	return demo.Play(t.Context(), demo.Config{
		URL: server.URL, Key: "secret", Campaign: []byte("campaign: trial\n"), Events: []byte(events),
		Members: []byte("id,name,tags,joined_at\nm-1,王伟,staff app,2026-05-01T10:00:00+08:00\nm-2,李芳,,\n"),
	})
}

func TestPlay(t *testing.T) {
	t.Parallel()
	s := &shop{t: t, outages: 2}
	moments := map[string]time.Duration{"a": time.Hour, "b": time.Hour, "c": 2 * time.Hour, "d": 3 * time.Hour}
	result, err := play(t, s, event("a", time.Hour)+event("b", time.Hour)+event("a", time.Hour)+event("c", 2*time.Hour)+
		event("d", 3*time.Hour)+event("a", 4*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if result.Campaign != "trial" || result.Told != 6 || result.Duplicates != 2 || result.Report == nil || result.Report.Numbers()["sent welcome"] != 2 {
		t.Errorf("it came to %+v", result)
	}
	times := map[string]int{}
	for _, h := range s.heard {
		times[h.id]++
		if h.now.Before(demo.From.Add(moments[h.id])) {
			t.Errorf("%s was told at %s, before its moment", h.id, h.now)
		}
	}
	if len(s.heard) != 6 || times["a"] != 3 {
		t.Errorf("heard %v", s.heard)
	}
	if last := s.heard[5]; last.id != "a" || !last.alone || last.now.Before(demo.From.Add(4*time.Hour)) {
		t.Errorf("at the end it heard %+v", last)
	}
	if want := []string{"/v1/campaigns", "/v1/campaigns/trial/start", "/v1/members/batch"}; !slices.Equal(s.calls[:3], want) {
		t.Errorf("it began with %v", s.calls[:3])
	}
	if len(s.members) != 2 || !strings.Contains(s.members[0], `"tags":["staff","app"]`) ||
		!strings.Contains(s.members[0], `"attributes":{"name":"王伟"}`) || strings.Contains(s.members[1], "joined_at") {
		t.Errorf("imported %s", s.members)
	}
	if s.looks < 5 {
		t.Errorf("it did not wait for messages on their way")
	}
}

func TestPlayGivesUp(t *testing.T) {
	t.Parallel()
	s := &shop{t: t, outages: 1_000}
	if _, err := demo.Play(t.Context(), demo.Config{URL: "http://127.0.0.1:1", Members: []byte("id\n"), Events: []byte("no JSON\n")}); err == nil {
		t.Error("a file that cannot be read was played")
	}
	if _, err := play(t, s, event("a", time.Minute)); err == nil || !strings.Contains(err.Error(), "503: not now") {
		t.Errorf("a server that is out of order: %v", err)
	}
}

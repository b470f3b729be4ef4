package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/store"
)

// stopLimit is what an operator's tools give a program between SIGTERM and SIGKILL.
const stopLimit = 10 * time.Second

// site is Banyan as its two programs on a stack of its own, as an operator has it.
type site struct {
	*fleet
	stack  *devstack.Stack
	path   string // the binary
	env    []string
	api    *api
	serve  *program
	worker *program

	metricsOfServe, metricsOfWorker, probes string
}

const siteKey = "byn_the-admin-key-of-the-operators"

// newSite prepares the programs; the database is not migrated and nothing is started.
func newSite(t *testing.T, receiver webhooktest.Options) *site {
	t.Helper()
	stack := devtest.Stack(t)
	pool, err := pgxpool.New(t.Context(), stack.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := &site{
		stack: stack, path: banyan(t),
		fleet:           &fleet{t: t, ctx: t.Context(), dsn: stack.DatabaseURL, pool: pool, namespace: "default"},
		metricsOfServe:  freeAddress(t),
		metricsOfWorker: freeAddress(t),
		probes:          freeAddress(t),
	}
	receiver.Secret = hookSecret
	if s.receiver, err = webhooktest.NewReceiver(receiver); err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(s.receiver)
	t.Cleanup(hook.Close)
	address := freeAddress(t)
	s.env = append(stack.Env(), "TEMPORAL_NAMESPACE=default", "BANYAN_CHANNEL=webhook", "BANYAN_WEBHOOK_URL="+hook.URL,
		"BANYAN_WEBHOOK_SECRET="+hookSecret, "BANYAN_WEBHOOK_ALLOW_PRIVATE=true", "BANYAN_LOG=json", "BANYAN_DEMO_CLOCK=allow")
	s.serve = newProgram(t, s.path, append(s.env, "BANYAN_LISTEN="+address, "BANYAN_METRICS_LISTEN="+s.metricsOfServe), "serve")
	s.worker = s.newWorker(s.path, "BANYAN_LISTEN="+s.probes, "BANYAN_METRICS_LISTEN="+s.metricsOfWorker)
	s.api = &api{url: "http://" + address, key: siteKey, client: &http.Client{Timeout: 30 * time.Second}}
	return s
}

func (s *site) newWorker(path string, env ...string) *program {
	return newProgram(s.t, path, append(slices.Clone(s.env), env...), "worker")
}

// run runs a command of the binary to its end.
func (s *site) run(args ...string) (out string, status int) {
	s.t.Helper()
	cmd := exec.CommandContext(s.ctx, s.path, args...)
	cmd.Env = append(os.Environ(), s.env...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func (s *site) must(args ...string) string {
	s.t.Helper()
	out, status := s.run(args...)
	if status != 0 {
		s.t.Fatalf("banyan %s: status %d\n%s", strings.Join(args, " "), status, out)
	}
	return out
}

// begin migrates, starts both programs, and starts a campaign over the API.
func (s *site) begin(source string, factor int64) {
	s.t.Helper()
	s.must("migrate")
	s.open()
	s.serve.env = append(s.serve.env, "BANYAN_ADMIN_KEY="+siteKey)
	s.serve.start()
	s.worker.start()
	s.api.ready(s.t)
	s.campaign(source, factor)
}

func (s *site) open() {
	s.t.Helper()
	var err error
	if s.store, err = store.Open(s.ctx, s.dsn); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.store.Close)
}

func (s *site) campaign(source string, factor int64) {
	s.t.Helper()
	name := regexp.MustCompile(`(?m)^campaign: (\S+)`).FindStringSubmatch(source)[1]
	if err := s.api.call(s.ctx, http.MethodPost, "/v1/campaigns", []byte(source), "application/yaml", nil); err != nil {
		s.t.Fatal(err)
	}
	body := []byte(`{}`)
	if factor > 1 {
		body = fmt.Appendf(nil, `{"demo_clock": {"factor": %d}}`, factor)
	}
	if err := s.api.call(s.ctx, http.MethodPost, "/v1/campaigns/"+name+"/start", body, "application/json", nil); err != nil {
		s.t.Fatal(err)
	}
}

// tell tells events over the API, again and again until they are taken.
func (s *site) tell(events ...campaign.Event) {
	s.t.Helper()
	var last error
	s.until("the API takes events", func() bool {
		_, last = s.api.send(s.ctx, events)
		return last == nil
	})
}

// probe asks for readiness.
func (s *site) probe(url string) (status int, body map[string]string) {
	ctx, cancel := context.WithTimeout(s.ctx, 4*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	if json.NewDecoder(resp.Body).Decode(&body) != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}

func (s *site) says(url string, status int, part, word string) {
	s.t.Helper()
	var last string
	if !eventually(s.ctx, func() bool {
		got, body := s.probe(url)
		last = fmt.Sprint(got, body)
		return got == status && body[part] == word
	}) {
		s.t.Fatalf("%s says %s, want %d and %s: %s", url, last, status, part, word)
	}
}

// terminate asks the process to stop, as an operator's tools do, and answers how long it
// took.
func (p *program) terminate() time.Duration {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("banyan %s does not stop\n%s", strings.Join(p.args, " "), p.tail())
	}
	took := time.Since(began)
	if p.ended != nil {
		p.t.Errorf("banyan %s stopped with %v\n%s", strings.Join(p.args, " "), p.ended, p.tail())
	}
	p.cmd = nil
	return took
}

// Readiness names what is missing: the migrations, PostgreSQL, Temporal. An API without
// Temporal does its work, a worker does not.
func TestReadinessTellsTheTruth(t *testing.T) {
	t.Parallel()
	s := newSite(t, webhooktest.Options{})
	s.serve.start()
	s.worker.start()
	serve, worker := s.api.url, "http://"+s.probes
	for _, url := range []string{serve, worker} {
		s.says(url, http.StatusServiceUnavailable, "migrations", "missing")
	}
	s.must("migrate")
	for _, url := range []string{serve, worker} {
		s.says(url, http.StatusOK, "status", "ok")
	}
	if err := s.stack.KillTemporal(); err != nil {
		t.Fatal(err)
	}
	s.says(serve, http.StatusOK, "temporal", "unreachable")
	s.says(serve, http.StatusOK, "status", "degraded")
	s.says(worker, http.StatusServiceUnavailable, "temporal", "unreachable")
	if err := s.stack.StartTemporal(s.ctx); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{serve, worker} {
		s.says(url, http.StatusOK, "status", "ok")
	}
	if err := s.stack.KillPostgres(); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{serve, worker} {
		s.says(url, http.StatusServiceUnavailable, "postgresql", "unreachable")
	}
	if err := s.stack.StartPostgres(s.ctx); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{serve, worker} {
		s.says(url, http.StatusOK, "status", "ok")
	}
}

// Both programs stop within ten seconds of SIGTERM, in the middle of turns and of a slow
// send, and nothing of it is lost or done twice.
func TestProgramsStopInTimeAndLoseNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, webhooktest.Options{Delay: 3 * time.Second})
	s.begin(ward, 1)
	const people = 40
	var members []string
	for i := range people {
		members = append(members, member(i))
		s.receiver.Next(webhooktest.FaultSlow)
	}
	tell := func(members []string) {
		var events []campaign.Event
		for _, m := range members {
			events = append(events, paid("trial-"+m, m, "trial", "9.90", time.Now()))
		}
		s.tell(events...)
	}
	tell(members[:people/2])
	s.until("slow sends are under way", func() bool {
		return s.count(`select count(*) from messages where state = 'unknown'`) > 0
	})
	if took := s.worker.terminate(); took > stopLimit {
		t.Errorf("the worker took %s to stop", took)
	}
	// Every send that had begun was settled: no outcome is left in doubt.
	if n := s.count(`select count(*) from messages where state = 'unknown'`); n != 0 {
		t.Errorf("%d sends were left in doubt", n)
	}
	if took := s.serve.terminate(); took > stopLimit {
		t.Errorf("the API took %s to stop", took)
	}
	s.serve.start()
	s.worker.start()
	tell(members[people/2:])
	s.until("everybody has her offer and her message", func() bool {
		return s.count(`select count(*) from offers where state = 'open'`) == people && s.count(`select count(*) from messages where state = 'sent'`) == people
	})
	if d := s.receiver.Delivered(); len(d) != people || s.receiver.Stats().Accepted != people {
		t.Errorf("%d messages, %+v", len(d), s.receiver.Stats())
	}
	if n := s.count(`select count(*) from grants`); n != people {
		t.Errorf("%d grants, want %d", n, people)
	}
}

// stages is a campaign of some seconds, on a clock on which an hour is one.
const stages = `
campaign: stages
title: 两步
events:
  order.paid: {order: string, offer: string, amount: money}
offers:
  card: {title: 月卡, price: 199, list_price: 299, lock: 8h}
messages:
  welcome: "你好"
  nudge: "再来"
journeys:
  way:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    steps:
      - send: welcome
      - wait: 4h
      - send: nudge
      - offer: card
        lapsed: [{end: lapsed}]
`

// Workers of two builds work side by side on the same journeys, the old ones are
// stopped, and every journey comes to its end.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	s := newSite(t, webhooktest.Options{})
	next := filepath.Join(t.TempDir(), "banyan-next")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.version=next", "-o", next, "../cmd/banyan")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	s.begin(stages, 3600) // an hour is a second
	people := 0
	tell := func(n int) {
		var events []campaign.Event
		for range n {
			events = append(events, paid(member(people)+"-trial", member(people), "trial", "9.90", s.now("stages")))
			people++
		}
		s.tell(events...)
		s.until("they are welcomed", func() bool {
			return s.count(`select count(*) from messages where name = 'welcome' and state = 'sent'`) == people
		})
	}
	tell(10)
	at := freeAddress(t)
	newer := s.newWorker(next, "BANYAN_METRICS_LISTEN="+at, "BANYAN_LISTEN=")
	turned := regexp.MustCompile(`(?m)^banyan_turns_total\{code="",result="taken"\} [1-9]`)
	newer.start()
	s.until("the new one turns too", func() bool {
		tell(1) // who takes it is Temporal's choice
		_, text, err := s.scraped(at)
		return err == nil && strings.Contains(text, `version="next"`) && turned.MatchString(text)
	})
	tell(10)
	if took := s.worker.terminate(); took > stopLimit {
		t.Errorf("the old worker took %s to stop", took)
	}
	if n := s.count(`select count(*) from journeys where status = 'active'`); n == 0 {
		t.Error("nobody was under way when the old worker stopped, so nothing was proved")
	}
	tell(10)
	s.until("every journey is over", func() bool {
		return s.count(`select count(*) from journeys where status = 'done'`) == people
	})
	s.allDone()
	for _, p := range []*program{s.worker, newer} {
		if text := read(t, p.log); strings.Contains(strings.ToLower(text), "nondeterminis") || strings.Contains(text, "TMPRL1100") {
			t.Errorf("a history does not replay:\n%s", p.tail())
		}
	}
	if got := s.receiver.Stats().Accepted; got != s.count(`select count(*) from messages where state = 'sent'`) {
		t.Errorf("%d messages were accepted", got)
	}
	if out := s.must("doctor"); strings.Contains(out, "ILL") {
		t.Error(out)
	}
}

// scraped reads a metrics page and answers the names and the lines.
func (s *site) scraped(address string) (names map[string]bool, text string, err error) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &refusal{resp.StatusCode, string(body)}
	}
	names = map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)`).FindAllStringSubmatch(string(body), -1) {
		names[m[1]] = true
	}
	return names, string(body), err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/chaos/judge"
	"github.com/banyanhq/banyan/chaos/proxy"
)

// fault is one thing that the adversary does.
type fault struct {
	at   time.Duration // after the beginning
	kind string
	do   func(ctx context.Context, chance *rand.Rand) (string, error)
	// chance is its own, so that what it does depends on the seed and not on what
	// happens at the same time.
	chance *rand.Rand
}

// deed is a fault that was done, for the report.
type deed struct {
	at, took time.Duration
	what     string
	err      error
}

// adversary does faults at moments that its seed chooses.
type adversary struct {
	f     *fleet
	crowd *crowd
	setup *setup
	begin time.Time

	submitting sync.Mutex     // so that versions are numbered in the order in which they are submitted
	versions   map[string]int // guarded by submitting

	mu    sync.Mutex
	deeds []deed
}

// plan draws n faults over a span: each kind comes before any comes again, in an order
// and at moments that the seed chooses.
func (a *adversary) plan(seed uint64, n int, span time.Duration) []fault {
	chance := rand.New(rand.NewPCG(seed, 0xfa017))
	kinds := a.kinds()
	var list []fault
	for len(list) < n {
		deck := slices.Clone(kinds)
		chance.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		list = append(list, deck[:min(len(deck), n-len(list))]...)
	}
	// One fault in each n-th of the span, somewhere in it.
	part := span / time.Duration(n)
	for i := range list {
		list[i].at = part*time.Duration(i) + time.Duration(chance.Int64N(int64(part)))
		list[i].chance = rand.New(rand.NewPCG(seed, uint64(i)+1))
	}
	return list
}

func (a *adversary) kinds() []fault {
	kind := func(name string, do func(context.Context, *rand.Rand) (string, error)) fault {
		return fault{kind: name, do: do}
	}
	return []fault{
		kind("kill -9 a worker", func(ctx context.Context, chance *rand.Rand) (string, error) { return a.kill(ctx, chance, a.f.workers) }),
		kind("kill -9 an API", func(ctx context.Context, chance *rand.Rand) (string, error) { return a.kill(ctx, chance, a.f.apis) }),
		kind("kill -9 Temporal", a.killTemporal),
		kind("PostgreSQL stops at once", a.abortPostgres),
		kind("cut connections to PostgreSQL", func(ctx context.Context, chance *rand.Rand) (string, error) {
			return a.cut(ctx, chance, a.f.toData)
		}),
		kind("cut connections to Temporal", func(ctx context.Context, chance *rand.Rand) (string, error) {
			return a.cut(ctx, chance, a.f.toT)
		}),
		kind("cut Temporal's connections to PostgreSQL", func(ctx context.Context, chance *rand.Rand) (string, error) {
			return a.cut(ctx, chance, a.f.fromT)
		}),
		kind("let nothing through to PostgreSQL", func(ctx context.Context, chance *rand.Rand) (string, error) {
			return a.freeze(ctx, chance, a.f.toData)
		}),
		kind("fill PostgreSQL's connections", a.fill),
		kind("a worker's clock goes wrong", a.wrongClock),
		kind("suspend a worker", a.suspend),
		kind("tell events again", a.again),
		kind("tell events in another order", a.reorder),
		kind("submit a new version", a.submit),
		kind("pause and resume", a.pause),
		kind("kill -9 all workers", a.killAll),
	}
}

// run does the plan. Each fault runs beside the others, for some take longer than it is
// until the next; it returns when the last is over and everything is up again.
func (a *adversary) run(ctx context.Context, plan []fault, say func(deed)) {
	var crew sync.WaitGroup
	for _, f := range plan {
		if rest(ctx, time.Until(a.begin.Add(f.at))) != nil {
			break
		}
		crew.Go(func() {
			start := time.Now()
			what, err := f.do(ctx, f.chance)
			if what == "" {
				what = f.kind
			}
			d := deed{at: start.Sub(a.begin), took: time.Since(start), what: what, err: err}
			a.mu.Lock()
			a.deeds = append(a.deeds, d)
			a.mu.Unlock()
			say(d)
		})
	}
	crew.Wait()
}

func between(chance *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(chance.Int64N(int64(most-least)))
}

func (a *adversary) kill(ctx context.Context, chance *rand.Rand, among []*program) (string, error) {
	p := among[chance.IntN(len(among))]
	away := between(chance, 0, 4*time.Second)
	err := p.kill()
	_ = rest(ctx, away)
	return fmt.Sprintf("kill -9 %s, back after %.1f s", p.name, away.Seconds()), errors.Join(err, p.start(a.f.banyan))
}

func (a *adversary) killAll(ctx context.Context, chance *rand.Rand) (string, error) {
	away := between(chance, 0, 3*time.Second)
	var errs []error
	for _, p := range a.f.workers {
		errs = append(errs, p.kill())
	}
	_ = rest(ctx, away)
	for _, p := range a.f.workers {
		errs = append(errs, p.start(a.f.banyan))
	}
	return fmt.Sprintf("kill -9 all workers, back after %.1f s", away.Seconds()), errors.Join(errs...)
}

func (a *adversary) killTemporal(ctx context.Context, chance *rand.Rand) (string, error) {
	away := between(chance, 500*time.Millisecond, 4*time.Second)
	err := a.server(ctx, temporalName, away, a.f.temporal.Kill, a.f.temporal.Restart)
	return fmt.Sprintf("kill -9 Temporal, started after %.1f s", away.Seconds()), err
}

func (a *adversary) abortPostgres(ctx context.Context, chance *rand.Rand) (string, error) {
	away := between(chance, 0, 3*time.Second)
	err := a.server(ctx, postgresName, away, func() error { return a.f.postgres.Abort(context.WithoutCancel(ctx)) }, a.f.postgres.Restart)
	return fmt.Sprintf("PostgreSQL stops at once, started after %.1f s", away.Seconds()), err
}

// server takes a server away and starts it again, as often as it takes. Of PostgreSQL and
// Temporal one is away at a time.
func (a *adversary) server(ctx context.Context, name string, away time.Duration, end func() error, start func(context.Context) error) error {
	a.f.serving.Lock()
	defer a.f.serving.Unlock()
	err := end()
	_ = rest(ctx, away)
	for {
		again := start(context.WithoutCancel(ctx))
		if again == nil {
			a.f.started[name] = time.Now()
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(err, again)
		}
		_ = rest(ctx, keeperRest)
	}
}

func (a *adversary) cut(ctx context.Context, chance *rand.Rand, p *proxy.Proxy) (string, error) {
	away := between(chance, 0, 2*time.Second)
	p.Refuse(true)
	n := p.Cut()
	_ = rest(ctx, away)
	p.Refuse(false)
	which := map[*proxy.Proxy]string{a.f.toData: "to PostgreSQL", a.f.toT: "to Temporal", a.f.fromT: "between Temporal and PostgreSQL"}[p]
	return fmt.Sprintf("cut %d connections %s, no new ones for %.1f s", n, which, away.Seconds()), nil
}

// freeze lets nothing through, and then everything, or it cuts, so that nobody knows what
// arrived.
func (a *adversary) freeze(ctx context.Context, chance *rand.Rand, p *proxy.Proxy) (string, error) {
	away := between(chance, time.Second, 5*time.Second)
	p.Freeze()
	_ = rest(ctx, away)
	then := "all of it"
	if chance.IntN(2) == 0 {
		then = fmt.Sprintf("%d connections are cut", p.Cut())
	}
	p.Thaw()
	return fmt.Sprintf("nothing gets through to PostgreSQL for %.1f s, then %s", away.Seconds(), then), nil
}

// fill takes every connection that PostgreSQL has left, each in a transaction that does
// nothing, and cuts a part of Banyan's, which then cannot be replaced.
func (a *adversary) fill(ctx context.Context, chance *rand.Rand) (string, error) {
	span := between(chance, 2*time.Second, 5*time.Second)
	var taken []*pgx.Conn
	defer func() {
		for _, c := range taken {
			_ = c.Close(context.WithoutCancel(ctx))
		}
	}()
	full := func() {
		for ctx.Err() == nil {
			limit, cancel := context.WithTimeout(ctx, 2*time.Second)
			c, err := a.f.connect(limit)
			if err == nil {
				_, err = c.Exec(limit, "begin; select 1")
				taken = append(taken, c)
			}
			cancel()
			if err != nil {
				return
			}
		}
	}
	full()
	a.f.toData.Cut()
	full()
	_ = rest(ctx, span)
	return fmt.Sprintf("fill PostgreSQL with %d idle transactions for %.1f s", len(taken), span.Seconds()), nil
}

func (a *adversary) wrongClock(ctx context.Context, chance *rand.Rand) (string, error) {
	p := a.f.workers[chance.IntN(len(a.f.workers))]
	span := between(chance, 8*time.Second, 20*time.Second)
	err := errors.Join(p.kill(), p.start(a.f.odd))
	_ = rest(ctx, span)
	return fmt.Sprintf("%s has a clock that is 5 minutes ahead for %.0f s", p.name, span.Seconds()), errors.Join(err, p.kill(), p.start(a.f.banyan))
}

func (a *adversary) suspend(ctx context.Context, chance *rand.Rand) (string, error) {
	p := a.f.workers[chance.IntN(len(a.f.workers))]
	span := between(chance, 3*time.Second, 15*time.Second)
	err := p.hold(true)
	_ = rest(ctx, span)
	return fmt.Sprintf("suspend %s for %.1f s", p.name, span.Seconds()), errors.Join(err, p.hold(false))
}

func (a *adversary) again(ctx context.Context, chance *rand.Rand) (string, error) {
	n, err := a.crowd.repeat(ctx, chance, 100)
	return fmt.Sprintf("tell %d accepted events again", n), err
}

func (a *adversary) reorder(ctx context.Context, chance *rand.Rand) (string, error) {
	span := between(chance, time.Second, 4*time.Second)
	a.crowd.hold()
	_ = rest(ctx, span)
	n := a.crowd.release(chance)
	return fmt.Sprintf("keep %d events back for %.1f s and tell them in another order", n, span.Seconds()), nil
}

func (a *adversary) submit(ctx context.Context, _ *rand.Rand) (string, error) {
	var said []string
	for i := range a.setup.funnels {
		n, err := a.version(ctx, &a.setup.funnels[i])
		if err != nil {
			return "", err
		}
		said = append(said, fmt.Sprintf("version %d of %s", n, a.setup.funnels[i].Campaign))
	}
	return "submit " + strings.Join(said, ", "), nil
}

// version submits the next version of a campaign.
func (a *adversary) version(ctx context.Context, f *judge.Funnel) (int, error) {
	a.submitting.Lock()
	defer a.submitting.Unlock()
	number := a.versions[f.Campaign] + 1
	told := time.Now().Truncate(time.Microsecond)
	var answer struct{ Version int }
	if _, err := a.crowd.api.insist(ctx, http.MethodPost, "/v1/campaigns", "application/yaml", a.setup.source(f, number), &answer); err != nil {
		return 0, fmt.Errorf("submit: %w", err)
	}
	if answer.Version != number {
		return 0, fmt.Errorf("version %d of %s was stored as %d", number, f.Campaign, answer.Version)
	}
	a.versions[f.Campaign] = number
	a.crowd.write(&judge.Line{Version: &judge.Version{Campaign: f.Campaign, Number: number}, Told: told, Answered: time.Now()})
	return number, nil
}

func (a *adversary) pause(ctx context.Context, chance *rand.Rand) (string, error) {
	f := a.setup.funnels[chance.IntN(len(a.setup.funnels))]
	span := between(chance, time.Second, 5*time.Second)
	err := a.move(ctx, f.Campaign, "pause")
	_ = rest(ctx, span)
	return fmt.Sprintf("pause %s for %.1f s", f.Campaign, span.Seconds()), errors.Join(err, a.move(ctx, f.Campaign, "resume"))
}

// move changes a campaign's state. A conflict is the answer to a repetition whose first
// answer was lost, or to another pause that overlaps this one.
func (a *adversary) move(ctx context.Context, name, verb string) error {
	_, err := a.crowd.api.insist(ctx, http.MethodPost, "/v1/campaigns/"+name+"/"+verb, "", nil, nil)
	if no := new(refusal); errors.As(err, &no) && no.status == http.StatusConflict {
		return nil
	}
	return err
}

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Factor is how fast the demo's campaign runs: a day in less than fifteen seconds.
//
// The events of the file keep twelve hours away from everything that depends on how fast
// the machine is, so that seven seconds of lateness change no number.
const Factor = 6000

// From is what the campaign's clock shows at its start. The first event is told 95
// minutes, a second, later; until then the members are imported.
var From = time.Date(2026, 12, 1, 6, 0, 0, 0, time.FixedZone("", 8*60*60))

// Config says what to play and where.
type Config struct {
	URL string // of the API
	Key string // with the scopes campaigns:write, members:write, events:write and reports:read

	Campaign []byte // YAML
	Members  []byte // CSV, as Members gives it
	Events   []byte // NDJSON, as Events gives it

	// Progress is told how it goes, some times a second; nil: nobody is.
	Progress func(Progress)
}

// Progress is how far the play has come.
type Progress struct {
	Now    time.Time // on the campaign's clock
	Day    int       // of the campaign, from 1
	Sent   int       // lines of the file of events
	Events int       // in all
	Active int       // journeys under way
}

// Result is what came of it.
type Result struct {
	Campaign   string
	Report     *Report
	Told       int // events, with those that were told again
	Duplicates int // of them, as the API answered
}

// line is one line of the file of events.
type line struct {
	arrives time.Time
	id      string
	body    []byte // as the API takes it
}

// Play submits and starts the campaign, imports the members, tells the events, waits
// until every journey is over, and gives the report.
func Play(ctx context.Context, cfg Config) (*Result, error) {
	p := &player{cfg: cfg, api: &client{base: cfg.URL, key: cfg.Key, http: &http.Client{Timeout: callTimeout}}}
	if p.cfg.Progress == nil {
		p.cfg.Progress = func(Progress) {}
	}
	members, err := memberLines(cfg.Members)
	if err != nil {
		return nil, err
	}
	if p.lines, err = eventLines(cfg.Events); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		p.start,
		func(ctx context.Context) error {
			return p.api.post(ctx, "/v1/members/batch", typeNDJSON, members, nil)
		},
		p.tell,
		p.wait,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	p.result.Campaign, p.result.Told = p.name, p.sent
	return &p.result, nil
}

type player struct {
	cfg    Config
	api    *client
	lines  []line
	name   string
	clock  clock
	sent   int
	active int
	result Result
}

func (p *player) path(rest string) string { return "/v1/campaigns/" + url.PathEscape(p.name) + rest }

// start comes before the members, who have joined in the days before: by then it must
// be the campaign's time.
func (p *player) start(ctx context.Context) error {
	var submitted struct{ Campaign string }
	if err := p.api.post(ctx, "/v1/campaigns", typeYAML, p.cfg.Campaign, &submitted); err != nil {
		return err
	}
	p.name = submitted.Campaign
	body, err := json.Marshal(map[string]any{"demo_clock": map[string]any{"factor": Factor, "from": From}})
	if err != nil {
		return err
	}
	if err := p.api.post(ctx, p.path("/start"), typeJSON, body, nil); err != nil {
		return err
	}
	return p.look(ctx)
}

// look sets the clock by the campaign's and counts the journeys under way.
func (p *player) look(ctx context.Context) error {
	var view struct {
		Now    time.Time
		Counts []struct {
			State   string
			Members int
		}
	}
	if err := p.api.get(ctx, p.path(""), &view); err != nil {
		return err
	}
	p.clock = clock{shows: view.Now, at: time.Now()}
	p.active = 0
	for _, c := range view.Counts {
		if c.State == "active" {
			p.active += c.Members
		}
	}
	p.cfg.Progress(Progress{
		Now: view.Now, Day: int(view.Now.Sub(From)/(24*time.Hour)) + 1, Sent: p.sent, Events: len(p.lines), Active: p.active,
	})
	return nil
}

// clock is the campaign's clock as it was last read. It may be slow by the time that
// reading it took, never fast: nothing is told before its moment.
type clock struct{ shows, at time.Time }

func (c clock) now() time.Time { return c.shows.Add(time.Since(c.at) * Factor) }

func (c clock) until(moment time.Time) time.Duration { return moment.Sub(c.now())/Factor + 1 }

// lookEvery is how often the clock is read again, so that it follows one that is set.
const lookEvery = time.Second

// tell tells each event at its moment.
func (p *player) tell(ctx context.Context) error {
	rest := p.lines
	for len(rest) > 0 {
		now := p.clock.now()
		due := 0
		for due < len(rest) && !rest[due].arrives.After(now) {
			due++
		}
		if due > 0 {
			if err := p.send(ctx, rest[:due]); err != nil {
				return err
			}
			rest = rest[due:]
			continue
		}
		if err := p.rest(ctx, p.clock.until(rest[0].arrives)); err != nil {
			return err
		}
	}
	return nil
}

// rest waits, and looks at the campaign meanwhile.
func (p *player) rest(ctx context.Context, d time.Duration) error {
	if next := time.Until(p.clock.at.Add(lookEvery)); next < d {
		if err := pause(ctx, next); err != nil {
			return err
		}
		return p.look(ctx)
	}
	return pause(ctx, d)
}

// maxBatch is how many events one request may hold.
const maxBatch = 1000

// send tells what is due in one request, as a shop that is busy would. What stands in
// the file twice at the same moment is told by a second request at the same time: which
// of the two comes first is nobody's guess, and must not matter.
func (p *player) send(ctx context.Context, due []line) error {
	due = due[:min(len(due), maxBatch)]
	var once, twins []line
	moment := map[string]time.Time{}
	for _, l := range due {
		if at, known := moment[l.id]; known && at.Equal(l.arrives) {
			twins = append(twins, l)
			continue
		}
		moment[l.id] = l.arrives
		once = append(once, l)
	}
	type answer struct {
		duplicates int
		err        error
	}
	answers := make(chan answer)
	requests := [][]line{once}
	for _, twin := range twins {
		requests = append(requests, []line{twin})
	}
	for _, request := range requests {
		go func() {
			duplicates, err := p.post(ctx, request)
			answers <- answer{duplicates, err}
		}()
	}
	var errs []error
	for range requests {
		a := <-answers
		p.result.Duplicates += a.duplicates
		errs = append(errs, a.err)
	}
	p.sent += len(due)
	return errors.Join(errs...)
}

func (p *player) post(ctx context.Context, lines []line) (duplicates int, err error) {
	if len(lines) == 1 {
		var result struct{ Status string }
		if err := p.api.post(ctx, "/v1/events", typeJSON, lines[0].body, &result); err != nil {
			return 0, err
		}
		if result.Status == "duplicate" {
			duplicates++
		}
		return duplicates, nil
	}
	var body bytes.Buffer
	for _, l := range lines {
		body.Write(append(l.body, '\n'))
	}
	var result struct{ Duplicates int }
	err = p.api.post(ctx, "/v1/events/batch", typeNDJSON, body.Bytes(), &result)
	return result.Duplicates, err
}

// Looking for the end: the journeys that are left wait for timers alone.
const (
	waitEvery = 250 * time.Millisecond
	// giveUp is how long a journey may be under way when all is told. The longest in the
	// file takes ten days, which are two minutes.
	giveUp = 5 * time.Minute
)

// wait waits until no journey is under way and no message on its way.
func (p *player) wait(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, giveUp, errStuck)
	defer cancel()
	for {
		if err := p.look(ctx); err != nil {
			return cause(ctx, err)
		}
		if p.active == 0 {
			if p.result.Report, err = p.api.report(ctx, p.name); err != nil {
				return cause(ctx, err)
			}
			if p.result.Report.onTheWay() == 0 {
				return nil
			}
		}
		if err := pause(ctx, waitEvery); err != nil {
			return fmt.Errorf("%w: %d journeys are still under way", cause(ctx, err), p.active)
		}
	}
}

var errStuck = errors.New("the journeys did not come to an end")

func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

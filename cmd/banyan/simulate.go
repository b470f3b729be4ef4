package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/simulate"
)

type simulateCommand struct {
	File            string `arg:"" help:"The campaign file; - is the standard input."`
	Members         int    `help:"How many members are made up." default:"10000" placeholder:"N"`
	Population      string `help:"How members behave; without it that is derived from the campaign." placeholder:"FILE"`
	MembersFile     string `help:"CSV of members who take part instead of made-up ones." placeholder:"FILE"`
	Events          string `help:"Past events (NDJSON or CSV): what would this campaign have done?" placeholder:"FILE"`
	Seed            uint64 `help:"Of luck. The same seed gives the same answer." default:"1" placeholder:"N"`
	From            string `help:"The first day; the window's, or today." placeholder:"DATE"`
	For             string `help:"How long; as the window, at most 180d, or 90d." placeholder:"SPAN"`
	Against         string `help:"Another version: a file, or the number of a version on the server." placeholder:"FILE|VERSION"`
	CSV             bool   `help:"Write CSV." name:"csv" xor:"form"`
	HTML            string `help:"Write a page with charts to this file as well." name:"html" placeholder:"FILE"`
	WritePopulation string `help:"Write the population to this file, to be changed, and rehearse nothing." placeholder:"FILE"`
}

// Run rehearses a campaign without a server.
func (c *simulateCommand) Run(ctx context.Context, e *env, g *Globals) error {
	// A rehearsal keeps little and leaves much behind, so it is cheaper to collect it late.
	if e.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(800))
	}
	source, err := readFile(e, c.File)
	if err != nil {
		return err
	}
	plan, err := planOf(e, c.File, source)
	if err != nil {
		return err
	}
	r := &rehearsing{command: c, env: e, plan: plan}
	if err := r.prepare(); err != nil {
		return err
	}
	if c.WritePopulation != "" {
		return r.writePopulation()
	}
	report, err := r.rehearse(ctx, plan)
	if err != nil {
		return err
	}
	var out rehearsed = report
	if c.Against != "" {
		if out, err = r.against(ctx, g, report); err != nil {
			return err
		}
	}
	if c.HTML != "" {
		if err := writePage(c.HTML, out); err != nil {
			return err
		}
	}
	switch {
	case g.JSON:
		return writeJSON(e.Stdout, out)
	case c.CSV:
		return out.CSV(e.Stdout)
	}
	return out.Text(e.Stdout)
}

// rehearsed is a report, or two held against each other.
type rehearsed interface {
	Text(w io.Writer) error
	CSV(w io.Writer) error
	HTML(w io.Writer) error
}

func writePage(name string, out rehearsed) error {
	var b bytes.Buffer
	if err := out.HTML(&b); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// planOf checks a campaign and makes it ready; what is wrong with it has been said.
func planOf(e *env, file string, source []byte) (*simulate.Plan, error) {
	def, problems := definitions.Check(file, source)
	if def == nil {
		_, _ = io.WriteString(e.Stderr, problems.Text(e.Color))
		return nil, errSaid
	}
	return simulate.NewPlan(def)
}

// rehearsing is one run of the command.
type rehearsing struct {
	command *simulateCommand
	env     *env
	plan    *simulate.Plan
	from    time.Time
	span    time.Duration
	people  func(*simulate.Plan) (simulate.People, error)
	pop     *definitions.Population
}

func (r *rehearsing) prepare() error {
	c := r.command
	switch {
	case c.Members < 1 || c.Members > simulate.MaxMembers:
		return usageError{fmt.Sprintf("--members is a number from 1 to %d", simulate.MaxMembers)}
	case c.Events != "" && c.Population != "":
		return usageError{"--events is what really happened; --population cannot go with it"}
	}
	r.from = r.plan.DefaultFrom(time.Now())
	if c.From != "" {
		from, err := time.ParseInLocation(time.DateOnly, c.From, r.plan.Location())
		if err != nil {
			if from, err = time.Parse(time.RFC3339, c.From); err != nil {
				return usageError{fmt.Sprintf("--from %q is no date: write 2026-12-01", c.From)}
			}
		}
		r.from = from
	}
	r.span = r.plan.DefaultSpan(r.from)
	if c.For != "" {
		span, err := campaign.ParseDuration(c.For)
		if err != nil || span < time.Hour {
			return usageError{fmt.Sprintf("--for %q is no span: write 180d, an hour at least", c.For)}
		}
		r.span = span
	}
	if c.Events != "" {
		return r.past()
	}
	return r.behaviour()
}

// past reads what really happened.
func (r *rehearsing) past() error {
	c := r.command
	events, err := readWith(c.Events, r.plan.ReadEvents)
	if err != nil {
		return err
	}
	first, last := events[0].Stored, events[0].Stored
	for i := range events {
		if events[i].Stored.Before(first) {
			first = events[i].Stored
		}
		if events[i].Stored.After(last) {
			last = events[i].Stored
		}
	}
	if c.From == "" {
		day := first.In(r.plan.Location())
		r.from = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, r.plan.Location())
	}
	if c.For == "" {
		// Journeys that the last events have started find their end.
		const room = 30 * 24 * time.Hour
		r.span = (last.Sub(r.from) + room).Truncate(24 * time.Hour)
		if r.span <= 0 {
			return usageError{"--from lies behind the last event"}
		}
	}
	members, err := r.members()
	if err != nil {
		return err
	}
	r.people = func(p *simulate.Plan) (simulate.People, error) {
		past := simulate.PastOf(p, members, events, r.from)
		if past.Ignored > 0 {
			_, _ = fmt.Fprintf(r.env.Stderr, "%s: %d events are of types that %s does not declare, and were left out\n", c.Events, past.Ignored, p.Definition().Name)
		}
		return past, nil
	}
	return nil
}

func (r *rehearsing) members() ([]campaign.Member, error) {
	if r.command.MembersFile == "" {
		return nil, nil
	}
	return readWith(r.command.MembersFile, func(name string, in io.Reader) ([]campaign.Member, error) {
		return r.plan.ReadMembers(name, in, r.from)
	})
}

func readWith[T any](name string, read func(string, io.Reader) ([]T, error)) ([]T, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return read(name, bufio.NewReader(f))
}

// behaviour finds out how members behave.
func (r *rehearsing) behaviour() error {
	c := r.command
	if c.Population == "" {
		r.pop = simulate.Derive(r.plan, r.from)
	} else {
		source, err := os.ReadFile(c.Population)
		if err != nil {
			return err
		}
		pop, problems := definitions.CheckPopulation(c.Population, source, r.plan.Definition())
		if len(problems) > 0 {
			_, _ = io.WriteString(r.env.Stderr, problems.Text(r.env.Color))
		}
		if pop == nil {
			return errSaid
		}
		r.pop = pop
	}
	members, err := r.members()
	if err != nil {
		return err
	}
	r.people = func(p *simulate.Plan) (simulate.People, error) {
		if err := simulate.Fits(r.pop, p.Definition()); err != nil {
			return nil, err
		}
		if members != nil {
			return simulate.Imported(p, r.pop, members, c.Seed, r.from, r.span), nil
		}
		return simulate.Made(p, r.pop, c.Members, c.Seed, r.from, r.span), nil
	}
	return nil
}

func (r *rehearsing) writePopulation() error {
	if r.pop == nil {
		return usageError{"--write-population does not go with --events"}
	}
	return os.WriteFile(r.command.WritePopulation, []byte(simulate.YAML(r.pop)), 0o644)
}

func (r *rehearsing) rehearse(ctx context.Context, p *simulate.Plan) (*simulate.Report, error) {
	people, err := r.people(p)
	if err != nil {
		return nil, err
	}
	show := &rehearsalLine{w: r.env.Stderr, on: r.env.Color, began: time.Now()}
	report, err := simulate.Rehearse(ctx, simulate.Config{Plan: p, People: people, From: r.from, Span: r.span, Progress: show.progress})
	show.clear()
	if err == nil {
		show.done(report)
	}
	return report, err
}

// against rehearses the other version over the same members with the same luck.
func (r *rehearsing) against(ctx context.Context, g *Globals, this *simulate.Report) (*simulate.Comparison, error) {
	name, source, err := r.other(ctx, g)
	if err != nil {
		return nil, err
	}
	plan, err := planOf(r.env, name, source)
	if err != nil {
		return nil, err
	}
	report, err := r.rehearse(ctx, plan)
	if err != nil {
		return nil, err
	}
	return simulate.Compare(this, report, [2]string{r.command.File, name}), nil
}

func (r *rehearsing) other(ctx context.Context, g *Globals) (name string, source []byte, err error) {
	version, err := strconv.Atoi(r.command.Against)
	if err != nil {
		source, err = os.ReadFile(r.command.Against)
		return r.command.Against, source, err
	}
	api, err := newClient(g)
	if err != nil {
		return "", nil, err
	}
	var answer struct {
		Source string `json:"source"`
	}
	campaignName := r.plan.Definition().Name
	err = api.call(ctx, http.MethodGet, campaignPath(campaignName, "versions", strconv.Itoa(version)), "", nil, &answer)
	return fmt.Sprintf("%s, version %d", campaignName, version), []byte(answer.Source), err
}

// rehearsalLine is one line on a terminal that is written again and again while a long
// run goes on, and nothing elsewhere.
type rehearsalLine struct {
	w     io.Writer
	on    bool
	began time.Time
	last  time.Time
	shown bool
}

// showAfter is how long a run takes before it says how far it is, showEvery how often.
const (
	showAfter = time.Second
	showEvery = 200 * time.Millisecond
)

func (l *rehearsalLine) progress(taken, of int) {
	now := time.Now()
	if !l.on || now.Sub(l.began) < showAfter || now.Sub(l.last) < showEvery {
		return
	}
	l.last, l.shown = now, true
	left := time.Duration(float64(now.Sub(l.began)) / float64(taken) * float64(of-taken)).Round(time.Second)
	_, _ = fmt.Fprintf(l.w, "\r\x1b[K%d of %d members, %d%%, %s left", taken, of, taken*100/of, left)
}

// done says how fast a long run was.
func (l *rehearsalLine) done(r *simulate.Report) {
	if took := time.Since(l.began); l.shown {
		_, _ = fmt.Fprintf(l.w, "%d members, %d events and %d turns in %s, %.0f members a second\n",
			r.Members, r.Events, r.Turns, took.Round(100*time.Millisecond), float64(r.Members)/took.Seconds())
	}
}

func (l *rehearsalLine) clear() {
	if l.shown {
		_, _ = io.WriteString(l.w, "\r\x1b[K")
	}
}

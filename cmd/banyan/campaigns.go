package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// readFile reads a file, or Stdin where its name is "-".
func readFile(e *env, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(e.Stdin)
	}
	return os.ReadFile(name)
}

type submitCommand struct {
	File    string   `arg:"" help:"The campaign file; - is the standard input."`
	Check   bool     `help:"Let the server check it, and store nothing." xor:"store"`
	Plan    bool     `help:"Say what it would mean for the members in flight on other versions and how many would enter by segment, and store nothing." xor:"store"`
	Migrate []string `help:"What is done with the members in flight at a step: keep, move, move:STEP or end:OUTCOME; * is every step. May be given several times; whoever is not named finishes on her version." placeholder:"JOURNEY/STEP=WHAT" sep:"none"`
}

// submitted is what a submission came to.
type submitted struct {
	starter.SubmitAnswer
	Migration *store.Migration `json:"migration,omitempty"`
}

// Run submits a file.
func (c *submitCommand) Run(ctx context.Context, e *env, g *Globals) error {
	rules, err := migrationRules(c.Migrate)
	if err != nil {
		return err
	}
	if c.Check && len(rules) > 0 {
		return usageError{"--check stores nothing, so nobody can be moved; --plan says what --migrate would mean"}
	}
	api, err := newClient(g)
	if err != nil {
		return err
	}
	source, err := readFile(e, c.File)
	if err != nil {
		return err
	}
	submit := func(path string) (answer starter.SubmitAnswer, err error) {
		err = api.call(ctx, http.MethodPost, path, "application/yaml", source, &answer)
		return answer, refused(e, g, c.File, source, err)
	}
	// Whether the choices can be followed is known before anything is stored.
	if c.Plan || len(rules) > 0 {
		checked, err := submit("/v1/campaigns?check=true")
		if err != nil {
			return err
		}
		plan, err := c.migrationPlan(ctx, api, checked.Campaign, source, rules)
		switch {
		case err != nil:
			return err
		case c.Plan:
			return c.showPlan(ctx, e, g, api, source, plan)
		}
	}
	path := "/v1/campaigns"
	if c.Check {
		path += "?check=true"
	}
	answer := submitted{}
	if answer.SubmitAnswer, err = submit(path); err != nil {
		return err
	}
	if len(rules) > 0 {
		if answer.Migration, err = c.migrate(ctx, api, &answer.SubmitAnswer, rules); err != nil {
			return err
		}
	}
	return output(e, g, answer, func(p *printer) {
		for _, w := range answer.Warnings {
			p.line("%s:%d:%d: warning: %s", c.File, w.Line, w.Column, w.Message)
		}
		switch {
		case c.Check:
			p.line("%s: ok", answer.Campaign)
		case answer.New:
			p.line("%s: version %d stored", answer.Campaign, answer.Version)
		default:
			p.line("%s: this text is version %d", answer.Campaign, answer.Version)
		}
		if m := answer.Migration; m != nil {
			p.line("%s: migration %d to version %d begins, %d journeys found; `banyan migrations %s %d` says how far it has come",
				m.Campaign, m.ID, m.Version, m.Found, m.Campaign, m.ID)
		}
	})
}

// planned is what a text would mean: for who is in flight, and for who would enter.
type planned struct {
	*starter.MigrationPlan
	Segments []starter.SegmentCount `json:"segments,omitempty"`
}

// showPlan shows what the text means for who is in flight, and how many are in the segments
// by which members enter.
func (c *submitCommand) showPlan(ctx context.Context, e *env, g *Globals, api *client, source []byte, plan *starter.MigrationPlan) error {
	counted, err := countSegments(ctx, e, g, api, c.File, source)
	if err != nil {
		return err
	}
	out := planned{plan, slices.DeleteFunc(counted.Segments, func(s starter.SegmentCount) bool { return len(s.Starts) == 0 })}
	if g.JSON {
		return writeJSON(e.Stdout, out)
	}
	if err := starter.WriteMigrationPlan(e.Stdout, plan); err != nil {
		return err
	}
	p := &printer{w: e.Stdout}
	if len(out.Segments) > 0 {
		p.line("\nin the segments by which members enter, now")
		writeSegments(p, out.Segments)
	}
	return p.err
}

// refused shows what refuses a file, and gives any other error as it is.
func refused(e *env, g *Globals, file string, source []byte, err error) error {
	var refusal *problemError
	if errors.As(err, &refusal) && len(refusal.Errors) > 0 {
		return showRefusal(e, g, file, source, refusal)
	}
	return err
}

// showRefusal shows the lines of the file where this build finds the same problems as
// the server did, and the server's own words where it does not.
func showRefusal(e *env, g *Globals, file string, source []byte, refusal *problemError) error {
	if g.JSON {
		if err := writeJSON(e.Stdout, refusal.Problem); err != nil {
			return err
		}
		return errSaid
	}
	if _, problems := definitions.Check(file, bytes.Clone(source)); problems.Refused() && len(problems) == len(refusal.Errors) {
		_, _ = io.WriteString(e.Stderr, problems.Text(e.Color))
		return errSaid
	}
	for _, d := range refusal.Errors {
		_, _ = fmt.Fprintf(e.Stderr, "%s:%d:%d: %s\n", file, d.Line, d.Column, d.Message)
		if d.Hint != "" {
			_, _ = fmt.Fprintf(e.Stderr, "    %s\n", d.Hint)
		}
	}
	return errSaid
}

type campaignsCommand struct {
	List listCommand `cmd:"" default:"withargs" help:"List campaigns."`
}

type listCommand struct{}

// Run lists campaigns.
func (listCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	all := []store.CampaignLine{}
	for after := ""; ; {
		var page starter.CampaignList
		if err := api.get(ctx, "/v1/campaigns?limit=1000&after="+url.QueryEscape(after), &page); err != nil {
			return err
		}
		all = append(all, page.Campaigns...)
		if after = page.Next; after == "" {
			break
		}
	}
	if g.JSON {
		return writeJSON(e.Stdout, all)
	}
	return starter.WriteCampaigns(e.Stdout, all)
}

type startCommand struct {
	Campaign  string    `arg:"" help:"The campaign's name."`
	DemoClock int64     `help:"Let its clock run so many times as fast (the server must allow it)." placeholder:"FACTOR"`
	From      time.Time `help:"What the demo clock shows at the start (RFC 3339)." placeholder:"TIME"`
}

// Run starts a campaign.
func (c *startCommand) Run(ctx context.Context, e *env, g *Globals) error {
	var body starter.StartRequest
	if c.DemoClock == 0 && !c.From.IsZero() {
		return usageError{"--from goes with --demo-clock"}
	}
	if c.DemoClock != 0 {
		body.DemoClock = &starter.ClockRequest{Factor: c.DemoClock, From: c.From}
	}
	return move(ctx, e, g, body, c.Campaign, "start")
}

type pauseCommand struct {
	Campaign string `arg:"" help:"The campaign's name."`
}

// Run pauses a campaign.
func (c *pauseCommand) Run(ctx context.Context, e *env, g *Globals) error {
	return move(ctx, e, g, nil, c.Campaign, "pause")
}

type resumeCommand struct {
	Campaign string `arg:"" help:"The campaign's name."`
	Reward   string `help:"A reward that has paused, or is to; instead of the campaign." placeholder:"NAME"`
}

// Run resumes a campaign, or one of its rewards.
func (c *resumeCommand) Run(ctx context.Context, e *env, g *Globals) error {
	if c.Reward != "" {
		return move(ctx, e, g, nil, c.Campaign, "rewards", c.Reward, "resume")
	}
	return move(ctx, e, g, nil, c.Campaign, "resume")
}

type endCommand struct {
	Campaign string `arg:"" help:"The campaign's name."`
	Now      bool   `help:"End journeys in flight at once and withdraw their offers."`
}

// Run ends a campaign.
func (c *endCommand) Run(ctx context.Context, e *env, g *Globals) error {
	drain := !c.Now
	return move(ctx, e, g, starter.EndRequest{Drain: &drain}, c.Campaign, "end")
}

func move(ctx context.Context, e *env, g *Globals, body any, name string, rest ...string) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	var answer starter.StateAnswer
	if err := api.post(ctx, campaignPath(name, rest...), body, &answer); err != nil {
		return err
	}
	return output(e, g, answer, func(p *printer) { p.line("%s: %s", answer.Campaign, answer.State) })
}

type reportCommand struct {
	Campaign string `arg:"" help:"The campaign's name."`
}

// Run reports what a campaign did.
func (c *reportCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	var answer store.Report
	if err := api.get(ctx, campaignPath(c.Campaign, "report"), &answer); err != nil {
		return err
	}
	if g.JSON {
		return writeJSON(e.Stdout, answer)
	}
	return starter.WriteReport(e.Stdout, &answer)
}

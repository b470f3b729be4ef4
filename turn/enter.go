package turn

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
)

// Entry is how an attempt to enter ended.
type Entry struct {
	Row int64 // 0: not entered
	ID  campaign.JourneyID
	Why string // why not, one of journey.Not…
	// Workflow is the one that turns her: her own, or that of her slice.
	Workflow string
}

// ByEvent lets an event start the journeys that it starts, in every campaign that
// takes entrants.
func (t *Taker) ByEvent(ctx context.Context, tx *store.EntryTx, running []store.RunningCampaign, e *store.StoredEvent) error {
	return t.each(ctx, tx, running, func(c store.RunningCampaign, p *journey.Program) error {
		for _, candidate := range p.StartsOn(e.Type) {
			if _, err := t.enter(ctx, tx, c, p, candidate, e.On(c.Clock)); err != nil {
				return err
			}
		}
		return nil
	})
}

// BySegment lets a member enter the journeys whose segment she is in. With eventType
// set it looks only where that event may have changed something.
func (t *Taker) BySegment(ctx context.Context, tx *store.EntryTx, running []store.RunningCampaign, eventType string) error {
	return t.each(ctx, tx, running, func(c store.RunningCampaign, p *journey.Program) error {
		for _, candidate := range p.StartsBySegment() {
			if eventType != "" && !asks(p.EntryNeeds(candidate), eventType) {
				continue
			}
			if _, err := t.enter(ctx, tx, c, p, candidate, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// ByAPI enters a member into one journey on a caller's word. start carries the
// properties that the caller gave, readable as `start`.
func (t *Taker) ByAPI(ctx context.Context, tx *store.EntryTx, c store.RunningCampaign, name string, start *campaign.Event) (Entry, error) {
	if !c.TakesEntrants() {
		return Entry{Why: journey.NotRunning}, nil
	}
	p, err := t.Programs.Program(ctx, tx, c.Digest)
	if err != nil {
		return Entry{}, err
	}
	if _, ok := p.Definition().Journey(name); !ok {
		return Entry{}, campaign.Errorf(campaign.CodeNotFound, "campaign %s has no journey %q", c.Name, name)
	}
	candidate, ok := p.StartByAPI(name)
	if !ok {
		return Entry{Why: journey.NotStart}, nil
	}
	return t.enter(ctx, tx, c, p, candidate, start)
}

// BrokenError is a campaign whose program this process cannot load: another build
// accepted it, or its definition cannot be read now. It holds up nobody but itself.
type BrokenError struct {
	Campaign string
	err      error
}

// Error says which campaign and why.
func (e *BrokenError) Error() string { return "campaign " + e.Campaign + ": " + e.err.Error() }

// Unwrap gives the reason.
func (e *BrokenError) Unwrap() error { return e.err }

// each does something for every campaign that can be loaded; the others are in the
// error, as BrokenErrors.
func (t *Taker) each(ctx context.Context, tx Definitions, running []store.RunningCampaign, do func(store.RunningCampaign, *journey.Program) error) (broken error) {
	for _, c := range running {
		p, err := t.Programs.Program(ctx, tx, c.Digest)
		if err != nil {
			broken = errors.Join(broken, &BrokenError{Campaign: c.Name, err: err})
			continue
		}
		if err := do(c, p); err != nil {
			return err
		}
	}
	return broken
}

func (t *Taker) enter(ctx context.Context, tx *store.EntryTx, c store.RunningCampaign, p *journey.Program, candidate journey.Candidate, e *campaign.Event) (Entry, error) {
	before, err := tx.Entries(ctx, c.Name, candidate.Journey)
	if err != nil {
		return Entry{}, err
	}
	answers, err := tx.Behaviour(ctx, c.Now, p.EntryNeeds(candidate))
	if err != nil {
		return Entry{}, err
	}
	adm, why, err := p.Admit(candidate, journey.Entrant{
		Campaign: c.Name, Member: tx.Member(), Event: e, Now: c.Now, Behaviour: answers,
		Entries: before.Count, Active: before.Active, LastEntered: before.Last, Stored: tx.LastEvent(),
	})
	if err != nil || why != "" {
		return Entry{Why: why}, err
	}
	state, err := adm.State.Save()
	if err != nil {
		return Entry{}, err
	}
	row, err := tx.Enter(ctx, &store.NewJourney{
		ID: adm.ID, Version: c.Version, Digest: c.Digest, Holdout: adm.Holdout, State: state, Cursor: adm.State.Cursor,
		By: candidate.By, Entered: adm.Entered, Trace: adm.Trace, StartEvent: startEvent(adm), Sliced: sliced(p, candidate.Journey),
	})
	if err == nil && row == 0 {
		return Entry{Why: journey.NotActive}, nil
	}
	workflow := adm.ID.WorkflowID()
	if sliced(p, candidate.Journey) {
		workflow = campaign.SliceWorkflowID(adm.ID.Campaign, adm.ID.Journey, campaign.SliceOf(adm.ID.Member))
	}
	return Entry{Row: row, ID: adm.ID, Workflow: workflow}, err
}

func sliced(p *journey.Program, name string) bool {
	j, ok := p.Definition().Journey(name)
	return ok && j.Drive == campaign.DriveSlices
}

func startEvent(adm journey.Admission) string {
	if adm.State.Start == nil {
		return ""
	}
	return adm.State.Start.ID
}

func asks(questions []campaign.Behaviour, eventType string) bool {
	for _, q := range questions {
		if q.Event == eventType {
			return true
		}
	}
	return false
}

const (
	// sweepPage is how many members one transaction of a sweep locks and looks at, as a
	// page of turns does.
	sweepPage = 500
	// sweepSpan is for how long one activity goes on with page after page.
	sweepSpan = 5 * time.Second
)

// sweepEvery is the campaign time between two sweeps. Changes of members and their
// events are acted on at once by the router; the sweep is for segments that change
// because time goes by, which marketers write in days.
const sweepEvery = time.Hour

// Sweeper lets members enter by segment, page by page.
type Sweeper struct {
	Taker *Taker
	Store *store.Store
}

// Sweep looks at members page after page until all were looked at, its span is over, or
// goOn says after a page that it is enough.
func (s *Sweeper) Sweep(ctx context.Context, in campaign.SweepInput, goOn func() bool) (campaign.SweepResult, error) {
	for began := time.Now(); ; {
		running, err := s.Store.RunningCampaigns(ctx)
		if err != nil {
			return campaign.SweepResult{}, err
		}
		i := slices.IndexFunc(running, func(c store.RunningCampaign) bool { return c.Name == in.Campaign })
		if i < 0 {
			return campaign.SweepResult{Over: true}, nil
		}
		program, err := s.Taker.Programs.Program(ctx, s.Store, running[i].Digest)
		if err != nil {
			return campaign.SweepResult{}, &BrokenError{Campaign: in.Campaign, err: err}
		}
		starts := program.StartsBySegment()
		if in.Start >= len(starts) {
			return campaign.SweepResult{Wait: running[i].Clock.RealSpan(sweepEvery)}, nil
		}
		members, err := s.candidates(ctx, running[i], program, starts[in.Start], in.After)
		if err != nil {
			return campaign.SweepResult{}, err
		}
		if err := s.page(ctx, in.Campaign, members); err != nil {
			return campaign.SweepResult{}, err
		}
		if len(members) < sweepPage {
			in.Start, in.After = in.Start+1, ""
			continue
		}
		in.After = members[len(members)-1]
		if !goOn() || time.Since(began) > sweepSpan {
			return campaign.SweepResult{Start: in.Start, After: in.After}, nil
		}
	}
}

// candidates lists the next members by id whom a segment may let in. PostgreSQL leaves
// out those who are certainly not in it or may not come again; who is left is judged
// under her lock.
func (s *Sweeper) candidates(ctx context.Context, c store.RunningCampaign, p *journey.Program, start journey.Candidate, after string) ([]string, error) {
	j, _ := p.Definition().Journey(start.Journey)
	asked, err := p.Audience(start, c.Now)
	if err != nil {
		return nil, err
	}
	return s.Store.AudienceOutside(ctx, store.Condition{SQL: asked.SQL, Args: asked.Args}, c.Name, j, after, sweepPage)
}

// page lets the members of a page enter, in one transaction. Should one of them be
// impossible to decide, the others enter one by one, and she is told of.
func (s *Sweeper) page(ctx context.Context, name string, members []string) error {
	err := s.enter(ctx, name, members)
	if err == nil || len(members) < 2 || campaign.CodeOf(err) == campaign.CodeUnavailable || ctx.Err() != nil {
		return err
	}
	var broken *BrokenError
	if errors.As(err, &broken) {
		return err
	}
	for _, member := range members {
		switch err := s.enter(ctx, name, []string{member}); {
		case err == nil:
		case campaign.CodeOf(err) == campaign.CodeUnavailable || ctx.Err() != nil:
			return err
		case s.Taker.Log != nil:
			s.Taker.Log.ErrorContext(ctx, "whether a member enters could not be decided; she is looked at again at the next sweep",
				"campaign", name, "code", campaign.CodeOf(err), "error", err)
		}
	}
	return nil
}

func (s *Sweeper) enter(ctx context.Context, name string, members []string) error {
	return s.Store.InEntries(ctx, members, func(page *store.EntriesTx) error {
		c, err := page.Campaign(ctx, name)
		if err != nil || !c.TakesEntrants() {
			return err
		}
		p, err := s.Taker.Programs.Program(ctx, page, c.Digest)
		if err != nil {
			return &BrokenError{Campaign: c.Name, err: err}
		}
		for _, candidate := range p.StartsBySegment() {
			if err := page.Ahead(ctx, c.Name, candidate.Journey); err != nil {
				return err
			}
		}
		for _, tx := range page.Members {
			if err := s.Taker.BySegment(ctx, tx, []store.RunningCampaign{c}, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

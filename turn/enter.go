package turn

import (
	"context"
	"log/slog"
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

// attempt is a member who may enter a journey of a campaign.
type attempt struct {
	store.Attempt
	c         store.RunningCampaign
	p         *journey.Program
	candidate journey.Candidate
	event     *campaign.Event
}

func attemptAt(who *store.Entrant, c store.RunningCampaign, p *journey.Program, candidate journey.Candidate, e *campaign.Event) *attempt {
	a := &attempt{c: c, p: p, candidate: candidate, event: e, Attempt: store.Attempt{
		Entrant: who, Campaign: c.Name, Journey: candidate.Journey, Now: c.Now, Questions: p.EntryNeeds(candidate),
	}}
	if e != nil && candidate.By == journey.ByEvent {
		a.Event = e.ID
	}
	return a
}

// Route does all that a batch of events and changed members calls for: it wakes the
// journeys that listen, and lets members enter those that they start, in every campaign
// that takes entrants. What a campaign would have to judge that cannot be loaded is kept
// for later, and held is told of that campaign.
func (t *Taker) Route(ctx context.Context, tx *store.RouteTx, held func(*BrokenError)) error {
	running, err := tx.RunningCampaigns(ctx)
	if err != nil {
		return err
	}
	if err := tx.Poke(ctx, running); err != nil {
		return err
	}
	programs, broken := make([]*journey.Program, len(running)), false
	for i, c := range running {
		if programs[i], err = t.Programs.Program(ctx, tx, c.Digest); err != nil {
			held(&BrokenError{Campaign: c.Name, err: err})
			broken = true
		}
	}
	// Before anybody enters: what an event is worth, its journey knows already.
	changed, err := t.points(ctx, tx, running, programs, held)
	if err != nil {
		return err
	}
	var list []*attempt
	for i := range tx.Intents {
		in := &tx.Intents[i]
		who := tx.Entrant(in.Member)
		if who == nil {
			continue // the member is gone
		}
		if broken {
			tx.Later(in)
		}
		if changed[in.Member] && in.Event != nil {
			// Segments may ask for points and levels.
			for i, p := range programs {
				if p != nil {
					list = append(list, startedBy(who, running[i], p, nil)...)
				}
			}
			delete(changed, in.Member)
		}
		if in.Kind == store.IntentPoints {
			continue // everything else was done when it came
		}
		for i, p := range programs {
			if p != nil {
				list = append(list, startedBy(who, running[i], p, in.Event)...)
			}
		}
	}
	_, err = decide(ctx, &tx.EntryTx, list)
	return err
}

// startedBy lists what an event may let a member enter: the journeys that it starts, and
// those of segments about which it may have changed something. Without an event she
// herself has changed, and any segment may let her in.
func startedBy(who *store.Entrant, c store.RunningCampaign, p *journey.Program, e *store.StoredEvent) (list []*attempt) {
	if e != nil && campaign.Ours(c.Name, &e.Event) {
		for _, candidate := range p.StartsOn(e.Type) {
			list = append(list, attemptAt(who, c, p, candidate, e.On(c.Clock)))
		}
	}
	for _, candidate := range p.StartsBySegment() {
		if e == nil || asks(p.EntryNeeds(candidate), e.Type) {
			list = append(list, attemptAt(who, c, p, candidate, nil))
		}
	}
	return list
}

// ByAPI enters a member into one journey on a caller's word. start carries the
// properties that the caller gave, readable as `start`.
func (t *Taker) ByAPI(ctx context.Context, tx *store.EntryTx, member string, c store.RunningCampaign, name string, start *campaign.Event) (Entry, error) {
	who := tx.Entrant(member)
	if who == nil {
		return Entry{}, campaign.Errorf(campaign.CodeNotFound, "there is no member %q", member)
	}
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
	entries, err := decide(ctx, tx, []*attempt{attemptAt(who, c, p, candidate, start)})
	if err != nil {
		return Entry{}, err
	}
	return entries[0], nil
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

// decide lets members enter, one attempt after the other, with one reading and one
// writing for all of them. It answers how each attempt ended.
func decide(ctx context.Context, tx *store.EntryTx, list []*attempt) ([]Entry, error) {
	asked := make([]*store.Attempt, len(list))
	for i, a := range list {
		asked[i] = &a.Attempt
	}
	if err := tx.Gather(ctx, asked); err != nil {
		return nil, err
	}
	out, entered := make([]Entry, len(list)), make([]*store.NewJourney, len(list))
	var fresh []*store.NewJourney
	for i, a := range list {
		var err error
		if entered[i], out[i].Why, err = a.decide(); err != nil {
			return nil, err
		}
		if n := entered[i]; n != nil {
			a.Entries.Started(n)
			fresh = append(fresh, n)
		}
	}
	if err := tx.Enter(ctx, fresh); err != nil {
		return nil, err
	}
	for i, n := range entered {
		switch {
		case n == nil:
		case n.Row == 0:
			out[i].Why = journey.NotActive
		default:
			out[i] = Entry{Row: n.Row, ID: n.ID, Workflow: n.ID.WorkflowID()}
			if n.Sliced {
				out[i].Workflow = campaign.SliceWorkflowID(n.ID.Campaign, n.ID.Journey, campaign.SliceOf(n.ID.Member))
			}
		}
	}
	return out, nil
}

// decide answers the entry, or why there is none.
func (a *attempt) decide() (n *store.NewJourney, why string, err error) {
	if a.Entries.StartedBy(a.Event) {
		return nil, journey.NotActive, nil
	}
	adm, why, err := a.p.Admit(a.candidate, journey.Entrant{
		Campaign: a.c.Name, Member: &a.Entrant.Member, Event: a.event, Now: a.c.Now, Behaviour: a.Answers,
		Entries: a.Entries.Count, Active: a.Entries.Active, LastEntered: a.Entries.Last, Stored: a.Entrant.LastEvent,
	})
	if err != nil || why != "" {
		return nil, why, err
	}
	state, err := adm.State.Save()
	if err != nil {
		return nil, "", err
	}
	j, ok := a.p.Definition().Journey(a.Journey)
	return &store.NewJourney{
		ID: adm.ID, Version: a.c.Version, Digest: a.c.Digest, Holdout: adm.Holdout, State: state, Cursor: adm.State.Cursor,
		By: a.candidate.By, Entered: adm.Entered, Trace: adm.Trace, StartEvent: a.Event, Sliced: ok && j.Drive == campaign.DriveSlices,
	}, "", nil
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

const (
	// How long a sweep waits that finds another worker at its schedule, longer from time to
	// time: about as long as a page takes.
	firstBusyWait   = 50 * time.Millisecond
	longestBusyWait = time.Second
)

// pause waits for a span, or until ctx is done.
func pause(ctx context.Context, span time.Duration) error {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

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
	var (
		seen string    // the version whose schedules were looked at,
		next time.Time // and the next of their moments
	)
	began, busy := time.Now(), firstBusyWait
	enough := func() bool { return !goOn() || time.Since(began) > sweepSpan }
	for {
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
		if c := running[i]; seen != c.Digest || !next.IsZero() && !c.Now.Before(next) {
			var all bool
			if all, next, err = s.schedules(ctx, c, program, enough); err != nil {
				return campaign.SweepResult{}, err
			}
			switch {
			case all:
				seen = c.Digest
			case enough():
				return campaign.SweepResult{Start: in.Start, After: in.After}, nil
			default: // somebody else is at it, and a page takes her a while
				if err := pause(ctx, busy); err != nil {
					return campaign.SweepResult{}, err
				}
				busy = min(2*busy, longestBusyWait)
				continue
			}
		}
		starts := program.StartsBySegment()
		if in.Start >= len(starts) {
			wait := sweepEvery
			if !next.IsZero() {
				wait = max(0, min(wait, next.Sub(running[i].Now)))
			}
			return campaign.SweepResult{Wait: running[i].Clock.RealSpan(wait) + wakeMargin}, nil
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
		if enough() {
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

// page lets the members of a page enter, in one transaction. One of them about whom it
// is impossible to decide is told of and left out.
func (s *Sweeper) page(ctx context.Context, name string, members []string) error {
	return wholeOrEach(ctx, members, func(members []string) error { return s.enter(ctx, name, members) }, func(_ string, err error) error {
		if s.Taker.Log != nil {
			s.Taker.Log.ErrorContext(ctx, "whether a member enters could not be decided; she is looked at again at the next sweep",
				slog.String("campaign", name), slog.Any("code", campaign.CodeOf(err)), slog.Any("error", err))
		}
		return nil
	})
}

func (s *Sweeper) enter(ctx context.Context, name string, members []string) error {
	return s.Store.InEntry(ctx, members, func(tx *store.EntryTx) error {
		return s.enterBy(ctx, tx, name, func(c store.RunningCampaign, p *journey.Program) (list []*attempt) {
			for _, who := range tx.Entrants() {
				list = append(list, startedBy(who, c, p, nil)...)
			}
			return list
		})
	})
}

// enterBy decides what the campaign, by the version that it has now, makes of the members
// that are locked.
func (s *Sweeper) enterBy(ctx context.Context, tx *store.EntryTx, name string, attempts func(store.RunningCampaign, *journey.Program) []*attempt) error {
	c, err := tx.Campaign(ctx, name)
	if err != nil || !c.TakesEntrants() {
		return err
	}
	p, err := s.Taker.Programs.Program(ctx, tx, c.Digest)
	if err != nil {
		return &BrokenError{Campaign: c.Name, err: err}
	}
	_, err = decide(ctx, tx, attempts(c, p))
	return err
}

package turn

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
)

// pointed is a question about an event and a rule of points.
type pointed struct {
	store.PointAsk
	c    *store.RunningCampaign
	p    *journey.Program
	rule *journey.PointRule
	who  *store.Entrant
}

// earner is a member in a campaign.
type earner struct{ member, campaign string }

// moved is what became of an earner's points at a moment, for her level.
type moved struct {
	at     time.Time // the own time of the event
	seq    int64
	day    campaign.Day
	points int64 // below zero: taken back
}

// points gives members the points that a batch of events is worth by the rules of every
// campaign that takes entrants, takes back what events reverse, whatever the state of the
// campaign, and brings levels up to date. An event gives points once for each rule, by its
// own time; of a campaign that is paused it is kept until that goes on. It answers whose
// points have changed.
//
// A batch that concerns no points costs one look-up of what its members could lose.
func (t *Taker) points(ctx context.Context, tx *store.RouteTx, running []store.RunningCampaign, programs []*journey.Program, held func(*BrokenError)) (map[string]bool, error) {
	asks, err := pointAsks(ctx, tx, running, programs)
	if err != nil {
		return nil, err
	}
	earned, changed := map[earner][]moved{}, map[string]bool{}
	var given []*store.PointGain
	if len(asks) > 0 {
		if given, err = t.give(ctx, tx, asks, earned); err != nil {
			return nil, err
		}
	}
	if err := t.takeBack(ctx, tx, given, earned, held); err != nil {
		return nil, err
	}
	for e := range earned {
		changed[e.member] = true
	}
	return changed, t.levels(ctx, &tx.EntryTx, earned, running, programs)
}

// pointAsks lists the rules that a batch of events may give points by.
func pointAsks(ctx context.Context, tx *store.RouteTx, running []store.RunningCampaign, programs []*journey.Program) (asks []*pointed, err error) {
	var paused store.HeldPoints
	for i := range tx.Intents {
		in := &tx.Intents[i]
		who := tx.Entrant(in.Member)
		if in.Event == nil || who == nil {
			continue
		}
		for k, p := range programs {
			if p == nil || in.Kind == store.IntentPoints && in.Campaign != running[k].Name {
				continue
			}
			rules := p.PointsOn(in.Event.Type)
			if len(rules) == 0 {
				continue
			}
			if running[k].State == store.StatePaused {
				paused.Add(running[k].Name, in)
				continue
			}
			e := in.Event.On(running[k].Clock)
			for _, r := range rules {
				a := &pointed{c: &running[k], p: p, rule: r, who: who, PointAsk: store.PointAsk{
					Campaign: running[k].Name, Rule: r.Name, Member: in.Member, Event: e, Day: campaign.DayOf(e.Time, p.Location()),
					Daily: r.PerDay > 0, Every: -1, Questions: r.Needs(),
				}}
				if r.PerMember != nil {
					a.Every = r.PerMember.Every
				}
				asks = append(asks, a)
			}
		}
	}
	// In the order in which they were stored, whatever the order of the batch.
	slices.SortStableFunc(asks, func(a, b *pointed) int {
		return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Event.Seq, b.Event.Seq))
	})
	return asks, tx.HoldPoints(ctx, &paused)
}

// counted is what of a member's counts against the caps of a rule.
type counted struct {
	member, campaign, rule string
	day                    campaign.Day
}

func (t *Taker) give(ctx context.Context, tx *store.RouteTx, asks []*pointed, earned map[earner][]moved) (gains []*store.PointGain, err error) {
	questions := make([]*store.PointAsk, len(asks))
	for i, a := range asks {
		questions[i] = &a.PointAsk
	}
	if err := tx.PointFacts(ctx, questions); err != nil {
		return nil, err
	}
	var (
		days  = map[counted]int64{}       // given in this batch
		times = map[counted][]time.Time{} // of the rule, on whatever day
		seen  = map[string]bool{}
	)
	for _, a := range asks {
		key := a.Campaign + " " + a.Rule + " " + a.Event.ID
		if a.Judged || seen[key] {
			continue
		}
		seen[key] = true
		facts := journey.PointFacts{Member: &a.who.Member, Event: a.Event, Behaviour: a.Answers}
		asked, why := a.p.Worth(a.rule, facts)
		if asked == 0 && why == "" {
			continue
		}
		g := &store.PointGain{
			Campaign: a.Campaign, Version: a.c.Version, Rule: a.Rule, Member: a.Member, Event: a.Event, Day: a.Day, Asked: asked, Reason: why,
		}
		onDay, ever := counted{a.Member, a.Campaign, a.Rule, a.Day}, counted{member: a.Member, campaign: a.Campaign, rule: a.Rule}
		if why == "" {
			g.Points, g.Reason = a.rule.Allow(asked, a.Had+days[onDay], append(a.Times, times[ever]...), a.Event.Time)
		}
		if g.Points > 0 {
			days[onDay] += g.Points
			times[ever] = append(times[ever], a.Event.Time)
			g.Groups = a.p.PointGroups(facts)
			g.Scores = scoresOf(a.p.Definition().Points, g.Groups, g.Day)
			if a.rule.ReverseOn != nil {
				g.ReverseOn = a.rule.ReverseOn.Event
			}
			if span := a.p.Definition().Points.Expires; span > 0 {
				g.Ends = a.c.Clock.RealAt(a.Event.Time.Add(span))
			}
			a.who.Member.Points += g.Points // for the rules that come after
			by := earner{a.Member, a.Campaign}
			earned[by] = append(earned[by], moved{at: a.Event.Time, seq: a.Event.Seq, day: g.Day, points: g.Points})
		}
		gains = append(gains, g)
	}
	return gains, tx.GivePoints(ctx, gains)
}

// scoresOf lists what a gain of a day counts in.
func scoresOf(p *campaign.Points, groups []string, day campaign.Day) (list []store.PointScore) {
	if p == nil || p.Leaderboard == nil {
		return nil
	}
	for _, period := range p.Leaderboard.Periods {
		list = append(list, store.PointScore{Period: period, Begins: period.Of(day)})
		for i, g := range p.Leaderboard.Groups {
			if i < len(groups) && groups[i] != "" {
				list = append(list, store.PointScore{Board: g.Name, Part: groups[i], Period: period, Begins: period.Of(day)})
			}
		}
	}
	return list
}

// takeBack takes back what events of the batch reverse, and of what was given just now what
// was reversed before. Each gain is judged by the version that gave it, so that neither the
// end of the campaign nor another version of it is a way to keep what was paid back.
func (t *Taker) takeBack(ctx context.Context, tx *store.RouteTx, given []*store.PointGain, earned map[earner][]moved, held func(*BrokenError)) error {
	byEvent := map[string]*store.Intent{}
	for i := range tx.Intents {
		if in := &tx.Intents[i]; in.Event != nil {
			byEvent[in.Event.ID] = in
		}
	}
	found, err := tx.Reversible(ctx, given)
	if err != nil {
		return err
	}
	var list []*store.PointReversal
	done := map[int64]bool{}
	for _, r := range found {
		if done[r.Gain] {
			continue
		}
		p, err := t.Programs.Program(ctx, tx, r.Digest)
		if err != nil {
			held(&BrokenError{Campaign: r.Campaign, err: err})
			if in := byEvent[r.By.ID]; in != nil {
				tx.Later(in)
			}
			continue
		}
		rule, ok := p.PointRule(r.Rule)
		if !ok || !rule.Reverses(&r.By, &r.Event, &tx.Entrant(r.Member).Member) {
			continue
		}
		done[r.Gain] = true
		r.BelowZero = rule.ReverseOn.BelowZero
		r.Scores = scoresOf(p.Definition().Points, r.Groups, r.Day)
		list = append(list, r)
		by := earner{r.Member, r.Campaign}
		back := moved{at: r.By.Time, seq: r.By.Seq, day: r.Day, points: -r.Points}
		if i := slices.IndexFunc(earned[by], func(m moved) bool {
			return r.By.Seq < r.Event.Seq && m.seq == r.Event.Seq && m.day == r.Day && m.points == r.Points
		}); i >= 0 {
			// It was taken back before it was told of: no level comes of it, not even for a moment.
			earned[by] = slices.Delete(earned[by], i, i+1)
			continue
		}
		earned[by] = append(earned[by], back)
	}
	return tx.TakePoints(ctx, list)
}

// levels brings the levels of members up to date whose points have changed.
func (t *Taker) levels(ctx context.Context, tx *store.EntryTx, earned map[earner][]moved, running []store.RunningCampaign, programs []*journey.Program) error {
	var (
		list  []*store.Standing
		since = map[string]campaign.Day{}
		of    = map[string]*journey.Program{}
		clock = map[string]campaign.Clock{}
	)
	for e := range earned {
		if len(earned[e]) == 0 {
			continue
		}
		p, known := of[e.campaign]
		if !known {
			if i := slices.IndexFunc(running, func(c store.RunningCampaign) bool { return c.Name == e.campaign }); i >= 0 {
				p, clock[e.campaign] = programs[i], running[i].Clock
			}
			of[e.campaign] = p
		}
		if p == nil || !p.Definition().HasLevels() {
			continue // of a campaign that is over levels stay as they are
		}
		if points := p.Definition().Points; points.Within > 0 {
			// From the earliest day that may count for the moments that are walked through.
			earliest := earned[e][0].at
			for _, m := range earned[e] {
				if m.at.Before(earliest) {
					earliest = m.at
				}
			}
			first := campaign.DayOf(earliest, p.Location()) - campaign.Day(points.Within/(24*time.Hour))
			if have, ok := since[e.campaign]; !ok || first < have {
				since[e.campaign] = first
			}
		}
		list = append(list, &store.Standing{Campaign: e.campaign, Member: e.member})
	}
	if len(list) == 0 {
		return nil
	}
	if err := tx.Standings(ctx, list, since); err != nil {
		return err
	}
	for _, s := range list {
		p := of[s.Campaign]
		points, moves := p.Definition().Points, earned[earner{s.Member, s.Campaign}]
		slices.SortStableFunc(moves, func(a, b moved) int { return cmp.Compare(a.seq, b.seq) })
		// What was read holds the whole batch; the walk goes through it step by step.
		for _, m := range moves {
			s.Earned.Add(m.day, -m.points)
		}
		var next time.Time
		walk := func(until time.Time) {
			var changes []campaign.LevelChange
			s.Standing, changes, next = points.Walk(s.Standing, &s.Earned, until, p.Location())
			s.Changes = append(s.Changes, changes...)
		}
		for _, m := range moves {
			walk(m.at)
			s.Earned.Add(m.day, m.points)
			walk(m.at)
		}
		if !next.IsZero() {
			s.Next = clock[s.Campaign].RealAt(next)
		}
	}
	return tx.SaveStandings(ctx, list)
}

// Levels looks at members whose level may have changed because time went by, at so many at
// most, and says at how many.
func (s *Sweeper) Levels(ctx context.Context, most int) (n int, err error) {
	due, err := s.Store.LevelsDue(ctx, most)
	if err != nil {
		return 0, err
	}
	var first error
	for name, members := range due {
		failed, err := s.levelsIn(ctx, name, members)
		if err != nil {
			return n, err
		}
		first = cmp.Or(first, failed)
		n += len(members)
	}
	return n, first
}

// levelsIn looks at members of a campaign together or, where that fails, at each alone. A
// member who cannot be looked at is looked at again later, and failed is why; an error says
// that it could not be tried.
func (s *Sweeper) levelsIn(ctx context.Context, name string, members []string) (failed, err error) {
	err = s.Store.InEntry(ctx, members, func(tx *store.EntryTx) error { return s.Taker.levelsOf(ctx, tx, name, members) })
	var broken *BrokenError
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &broken):
		// Another build has accepted it: whoever routes an event tells of it.
		return nil, s.Store.PutOffLevels(ctx, name, members)
	case campaign.CodeOf(err) == campaign.CodeUnavailable || ctx.Err() != nil:
		return nil, err
	case len(members) == 1:
		return err, s.Store.PutOffLevels(ctx, name, members)
	}
	for _, m := range members {
		one, err := s.levelsIn(ctx, name, []string{m})
		if err != nil {
			return nil, err
		}
		failed = cmp.Or(failed, one)
	}
	return failed, nil
}

func (t *Taker) levelsOf(ctx context.Context, tx *store.EntryTx, name string, members []string) error {
	c, err := tx.Campaign(ctx, name)
	if err != nil {
		return err
	}
	p, err := t.Programs.Program(ctx, tx, c.Digest)
	if err != nil {
		return &BrokenError{Campaign: name, err: err}
	}
	points := p.Definition().Points
	list, since := make([]*store.Standing, len(members)), map[string]campaign.Day{}
	for i, m := range members {
		list[i] = &store.Standing{Campaign: name, Member: m}
	}
	if p.Definition().HasLevels() && points.Within > 0 {
		since[name] = 0 // what counted since she was last looked at, however long ago that is
	}
	if err := tx.Standings(ctx, list, since); err != nil {
		return err
	}
	for _, s := range list {
		if !p.Definition().HasLevels() || !c.TakesEntrants() {
			continue // a version without levels, or a campaign that is over: they stay, and nobody looks any more
		}
		var next time.Time
		s.Standing, s.Changes, next = points.Walk(s.Standing, &s.Earned, c.Now, p.Location())
		if !next.IsZero() {
			s.Next = c.Clock.RealAt(next)
		}
	}
	return tx.SaveStandings(ctx, list)
}

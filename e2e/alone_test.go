package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// judge compares what PostgreSQL holds of a member with what the pure core, alone and
// always on time, makes of the same events.
type judge struct {
	t        testing.TB
	ctx      context.Context
	pool     *pgxpool.Pool
	campaign string
	clock    campaign.Clock
	program  *journey.Program
}

// verdict is what must not depend on when turns ran.
type verdict struct {
	outcome string
	lines   []string // goal, offers, reviews, grants, tags
	story   []string // the decisions, in their order, but for those about messages
	// sends are the claimed messages with their bodies. A journey that is left drops
	// what the same turn had not yet handed out, which lawfully depends on the turn.
	sends []string
}

func (v *verdict) add(format string, args ...any) {
	v.lines = append(v.lines, fmt.Sprintf(format, args...))
}

func (v *verdict) tell(kind campaign.TraceKind, step string, params map[string]string) {
	if kind == campaign.TraceSend || kind == campaign.TraceNotSent || kind == campaign.TraceDelayed {
		return
	}
	line := string(kind) + " " + step
	for _, name := range slices.Sorted(maps.Keys(params)) {
		line += " " + name + "=" + params[name]
	}
	v.story = append(v.story, line)
}

func (v *verdict) text() string {
	slices.Sort(v.lines)
	slices.Sort(v.sends)
	text := "outcome " + v.outcome + "\n" + strings.Join(v.lines, "\n") + "\n" + strings.Join(v.story, "\n")
	if v.outcome != campaign.OutcomeExited {
		text += "\n" + strings.Join(v.sends, "\n")
	}
	return text
}

// compare fails the test where the two differ, and answers the outcome.
func (j *judge) compare(member, what string) string {
	j.t.Helper()
	held, alone := j.held(member), j.alone(member)
	if held.text() != alone.text() {
		j.t.Errorf("%s (%s): PostgreSQL holds\n%s\n\nthe core alone says\n%s\n\nfor the events\n%s",
			member, what, held.text(), alone.text(), j.told(member))
	}
	return held.outcome
}

// rows reads lines of anything.
func rows[T any](j *judge, sql string, scan func(pgx.CollectableRow) (T, error), args ...any) []T {
	j.t.Helper()
	found, err := j.pool.Query(j.ctx, sql, args...)
	if err != nil {
		j.t.Fatal(err)
	}
	list, err := pgx.CollectRows(found, scan)
	if err != nil {
		j.t.Fatal(err)
	}
	return list
}

// held reads the verdict from PostgreSQL.
func (j *judge) held(member string) *verdict {
	j.t.Helper()
	v := &verdict{}
	var goalAt *time.Time
	var goal *string
	var minor *int64
	var tags []string
	if err := j.pool.QueryRow(j.ctx, `
		select j.outcome, j.goal_at, j.goal_event, j.goal_minor, m.tags from journeys j join members m on m.id = j.member
		 where j.member = $1 and j.campaign = $2`, member, j.campaign).Scan(&v.outcome, &goalAt, &goal, &minor, &tags); err != nil {
		j.t.Fatalf("%s: %v", member, err)
	}
	if goal != nil {
		v.add("goal %s %d at %s", *goal, *minor, stamp(*goalAt))
	}
	v.add("tags %v", tags)
	v.lines = append(v.lines, rows(j, `
		select offer, state, opened_at, expires_at, closed_at, coalesce(order_id, ''), coalesce(paid, 0) from offers where member = $1`,
		func(r pgx.CollectableRow) (string, error) {
			var name, state, order string
			var opened time.Time
			var expires, closed *time.Time
			var paid int64
			err := r.Scan(&name, &state, &opened, &expires, &closed, &order, &paid)
			return offerLine(name, state, opened, zero(expires), zero(closed), order, paid), err
		}, member)...)
	v.lines = append(v.lines, rows(j, `select 'review ' || kind || ' ' || event from reviews where member = $1`, pgx.RowTo[string], member)...)
	v.lines = append(v.lines, rows(j, `select 'grant ' || reward || ' ' || state from grants where member = $1`, pgx.RowTo[string], member)...)
	for _, l := range rows(j, `select t.kind, t.step, t.params from trace t join journeys j on j.id = t.journey where j.member = $1 order by t.id`,
		func(r pgx.CollectableRow) (l campaign.TraceLine, err error) {
			return l, r.Scan(&l.Kind, &l.Step, &l.Params)
		}, member) {
		v.tell(l.Kind, l.Step, l.Params)
	}
	v.sends = rows(j, `select key, bodies from messages where member = $1`, func(r pgx.CollectableRow) (string, error) {
		var key string
		var bodies []campaign.ChannelBody
		err := r.Scan(&key, &bodies)
		return fmt.Sprint(key, " ", bodies), err
	}, member)
	return v
}

func offerLine(name, state string, opened, expires, closed time.Time, order string, paid int64) string {
	return fmt.Sprintf("offer %s %s %s–%s closed %s order %q paid %d", name, state, stamp(opened), stamp(expires), stamp(closed), order, paid)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("01-02T15:04:05.000000")
}

func zero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// events reads a member's events as a turn would be given them.
func (j *judge) events(member string) []campaign.Event {
	j.t.Helper()
	return rows(j, `select id, type, member, seq, time, stored_at, properties from events where member = $1 order by seq`,
		func(r pgx.CollectableRow) (e campaign.Event, err error) {
			var stored time.Time
			err = r.Scan(&e.ID, &e.Type, &e.Member, &e.Seq, &e.Time, &stored, &e.Properties)
			e.Stored = j.clock.At(stored)
			return e, err
		}, member)
}

// told lists a member's events for a person.
func (j *judge) told(member string) string {
	var b strings.Builder
	for _, e := range j.events(member) {
		fmt.Fprintf(&b, "%d %s at %s stored %s %s\n", e.Seq, e.Type, stamp(e.Time), stamp(e.Stored), e.Properties)
	}
	return b.String()
}

// alone runs the pure core over a member's stored events, with a turn at the very
// moment of everything that happens or falls due.
func (j *judge) alone(member string) *verdict {
	j.t.Helper()
	a := &alone{
		j: j, v: &verdict{}, events: j.events(member), member: campaign.Member{ID: member}, opened: map[string]time.Time{},
		offers: map[string]campaign.OfferEffect{}, taken: map[string]int{},
	}
	var attributes json.RawMessage
	if err := j.pool.QueryRow(j.ctx, `select attributes, joined_at, source from members where id = $1`, member).
		Scan(&attributes, &a.member.JoinedAt, &a.member.Source); err != nil {
		j.t.Fatal(err)
	}
	if err := json.Unmarshal(attributes, &a.member.Attributes); err != nil {
		j.t.Fatal(err)
	}
	for _, o := range rows(j, `select id, opened_at from offers where member = $1`, func(r pgx.CollectableRow) (o campaign.OfferEffect, err error) {
		return o, r.Scan(&o.ID, &o.OpenedAt)
	}, member) {
		a.opened[o.ID] = o.OpenedAt
	}
	a.play()
	return a.v
}

type alone struct {
	j           *judge
	v           *verdict
	id          campaign.JourneyID
	state       journey.State
	member      campaign.Member
	events      []campaign.Event
	taken       map[string]int
	offers      map[string]campaign.OfferEffect
	opened      map[string]time.Time // offers, as PostgreSQL holds them
	due         time.Time
	books, next books // now, and after the turn that was decided last
}

func (a *alone) play() {
	now := a.enter()
	for {
		now = a.turn(now)
		var next time.Time
		earlier := func(t time.Time) {
			if t.After(now) && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
		for i := range a.events {
			earlier(a.events[i].Stored)
		}
		if a.v.outcome == "" {
			earlier(a.due)
		}
		if next.IsZero() {
			break
		}
		now = next
	}
	if a.v.outcome == "" {
		a.j.t.Fatalf("%s: the core alone does not come to an end", a.member.ID)
	}
	for _, o := range a.offers {
		a.v.lines = append(a.v.lines, offerLine(o.Offer, string(o.State), o.OpenedAt, o.ExpiresAt, o.ClosedAt, o.Order, o.Paid.Minor))
	}
	a.v.add("tags %v", append([]string{}, a.member.Tags...))
}

func (a *alone) enter() time.Time {
	a.j.t.Helper()
	for i := range a.events {
		e := &a.events[i]
		for _, c := range a.j.program.StartsOn(e.Type) {
			adm, why, err := a.j.program.Admit(c, journey.Entrant{Campaign: a.j.campaign, Member: &a.member, Event: e, Now: e.Stored})
			if err != nil {
				a.j.t.Fatal(err)
			}
			if why == "" {
				a.id, a.state = adm.ID, adm.State
				for _, l := range adm.Trace {
					a.v.tell(l.Kind, l.Step, l.Params)
				}
				return e.Stored
			}
		}
	}
	a.j.t.Fatalf("%s: no event starts a journey", a.member.ID)
	return time.Time{}
}

// turn takes a turn at a moment, and answers that moment. An engine that was away for
// longer than an offer's grace opens the offer when it is back, because nobody is to
// lose a part of the lock to an outage. That alone depends on when turns ran, so where
// it happened the core takes this turn at the engine's moment.
func (a *alone) turn(now time.Time) time.Time {
	d := a.decide(now)
	for {
		late := a.late(&d)
		if !late.After(now) {
			break
		}
		now = late
		d = a.decide(now)
	}
	a.apply(&d)
	return now
}

func (a *alone) late(d *campaign.Decision) time.Time {
	for _, o := range d.Offers {
		at, known := a.opened[o.ID]
		def, _ := a.j.program.Definition().Offer(o.Offer)
		if !known || o.State != campaign.OfferOpen || !at.After(o.OpenedAt) {
			continue
		}
		if at.Sub(o.OpenedAt) >= def.Grace || a.lateEvent(o.OpenedAt, def.Grace) {
			return at
		}
	}
	return time.Time{}
}

// lateEvent reports whether the event that led to an offer was told so late that even
// an engine without delay opens it at its own moment.
func (a *alone) lateEvent(opened time.Time, grace time.Duration) bool {
	return slices.ContainsFunc(a.events, func(e campaign.Event) bool {
		return e.Stored.Equal(opened) && opened.Sub(e.Time) >= grace
	})
}

func (a *alone) decide(now time.Time) campaign.Decision {
	t, p := a.j.t, a.j.program
	t.Helper()
	types, questions, err := p.Needs(a.id.Journey)
	if err != nil || len(questions) > 0 {
		t.Fatal("a campaign of these tests asks nothing about past behaviour, whose answer depends on the turn", err)
	}
	in := journey.Input{
		ID: a.id, Version: 1, Now: now, Member: &a.member, Answers: map[string]campaign.Answer{}, Taken: a.taken, Via: []string{"webhook"},
	}
	for _, e := range a.events {
		if !e.Stored.After(now) && slices.Contains(types, e.Type) && (e.Seq > a.state.Cursor || !e.Time.Before(a.state.Since)) {
			in.Events = append(in.Events, e)
		}
	}
	step := p.Turn
	if a.v.outcome != "" {
		step = p.After
	}
	books := books{a.books.points, slices.Clone(a.books.led)}
	for {
		d, ask, err := step(a.state, in)
		if err != nil {
			t.Fatal(err)
		}
		if ask == nil {
			a.next = books
			return d
		}
		answer := campaign.Answer{OK: true} // these campaigns have neither stock nor budget to run out
		switch {
		case ask.Grant != nil && ask.Grant.Order != "":
			books.led = append(books.led, led{ask.Grant.Order, ask.Grant.Reward, ask.Grant.Points, 0})
			books.points += ask.Grant.Points
		case ask.Grant != nil:
			books.points += ask.Grant.Points
		case ask.ClawBack != nil:
			answer.ClawedBack = books.clawBack(ask.ClawBack)
		}
		in.Answers[ask.Key] = answer
	}
}

// books are a member's points, and what her orders led to.
type books struct {
	points int64
	led    []led
}

type led struct {
	order, reward string
	points, back  int64
}

func (b *books) clawBack(ask *campaign.ClawBackAsk) (out []campaign.ClawedBack) {
	for i := range b.led {
		g := &b.led[i]
		due := campaign.PartOf(g.points, ask.Part, ask.Of) - g.back
		if g.order != ask.Order || due <= 0 {
			continue
		}
		taken := min(due, max(0, b.points)) // these campaigns claw nothing back in full
		g.back += due
		b.points -= taken
		out = append(out, campaign.ClawedBack{Reward: g.reward, Points: taken, Owed: due - taken})
	}
	return out
}

func (a *alone) apply(d *campaign.Decision) {
	t, v := a.j.t, a.v
	t.Helper()
	var err error
	if a.state, err = journey.LoadState(d.State); err != nil {
		t.Fatal(err)
	}
	a.books = a.next
	for i := range d.Sends {
		v.sends = append(v.sends, fmt.Sprint(d.Sends[i].Key, " ", d.Sends[i].Bodies))
	}
	for _, o := range d.Offers {
		a.offers[o.ID] = o
		if o.State == campaign.OfferTaken {
			a.taken[o.Offer]++
		}
	}
	for _, r := range d.Reviews {
		v.add("review %s %s", r.Kind, r.Event)
	}
	for _, l := range d.Trace {
		v.tell(l.Kind, l.Step, l.Params)
		if l.Kind == campaign.TraceGranted {
			v.add("grant %s granted", l.Params["reward"])
		}
	}
	a.member.Tags = slices.DeleteFunc(a.member.Tags, func(s string) bool { return slices.Contains(d.Member.RemoveTags, s) })
	a.member.Tags = append(a.member.Tags, d.Member.AddTags...)
	if g := d.Goal; g != nil {
		v.add("goal %s %d at %s", g.Event, g.Value.Minor, stamp(g.At))
	}
	a.due, v.outcome = d.WaitUntil, d.Outcome
}

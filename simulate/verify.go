package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/journey"
)

// Verdict is how a campaign test went.
type Verdict struct {
	Name     string               `json:"name"`
	Line     int                  `json:"line"`
	OK       bool                 `json:"ok"`
	Failures definitions.Problems `json:"failures"`
	// Story is every decision, for whoever wants to see why.
	Story []campaign.TraceLine `json:"story"`
}

// FailedTest is the check of what differs in a test.
const FailedTest = "test"

// longest is how far a test goes that names no end: as long as the longest span of a
// campaign. A segment that changes with time is waited for not as long.
const (
	longest  = 10 * 366 * 24 * time.Hour
	sweptFor = 90 * 24 * time.Hour
)

// Verify runs one campaign test. An error is a fault of ours; what differs from the test's
// expectations stands in the verdict.
func Verify(p *Plan, t *definitions.Test) (*Verdict, error) {
	v := &verifier{p: p, t: t, rec: &recorder{offers: map[string]int{}}}
	if err := v.play(); err != nil {
		return nil, campaign.Errorf(campaign.CodeOf(err), "test %q: %w", t.Name, err)
	}
	v.compare()
	slices.SortStableFunc(v.failures, func(a, b definitions.Problem) int { return a.Line - b.Line })
	return &Verdict{Name: t.Name, Line: t.Mark.Line(), OK: len(v.failures) == 0, Failures: v.failures, Story: v.rec.trace}, nil
}

type verifier struct {
	p        *Plan
	t        *definitions.Test
	l        *life
	rec      *recorder
	tags     [][]string // at the moments of Expect.Tags
	failures definitions.Problems
}

// recorder keeps all that becomes of a member.
type recorder struct {
	journey string // the one that is looked at; empty: all
	sends   []campaign.SendEffect
	opened  []campaign.OfferEffect // each in its last state, by the moment of opening
	offers  map[string]int         // place in opened, by id
	grants  []granted
	reviews []campaign.Review
	goals   int
	reached map[campaign.JourneyID]string // the event that reached the goal; nil: it is not kept
	trace   []campaign.TraceLine
	moments []time.Time // when each line of the trace was written
}

type granted struct {
	reward string
	at     time.Time
}

func (r *recorder) arrived(*life)                   {}
func (r *recorder) happened(*life, *campaign.Event) {}

func (r *recorder) looks(w *walk) bool { return r.journey == "" || r.journey == w.plan.Name }

func (r *recorder) entered(l *life, w *walk) {
	if r.looks(w) {
		r.trace = append(r.trace, w.id.Trace...)
		r.moments = append(r.moments, slices.Repeat([]time.Time{l.now}, len(w.id.Trace))...)
	}
}

func (r *recorder) answered(l *life, w *walk, ask *campaign.Ask, a campaign.Answer) {
	if ask.Grant != nil && a.OK && r.looks(w) {
		r.grants = append(r.grants, granted{ask.Grant.Reward, l.now})
	}
}

func (r *recorder) decided(l *life, w *walk, d *campaign.Decision) {
	if !r.looks(w) {
		return
	}
	r.sends = append(r.sends, messagesOf(d)...)
	r.reviews = append(r.reviews, d.Reviews...)
	for _, o := range d.Offers {
		i, ok := r.offers[o.ID]
		if !ok {
			i = len(r.opened)
			r.opened, r.offers[o.ID] = append(r.opened, o), i
		}
		r.opened[i] = o
	}
	if d.Goal != nil {
		r.goals++
		if r.reached != nil {
			r.reached[w.id.ID] = d.Goal.Event
		}
	}
	r.trace = append(r.trace, d.Trace...)
	r.moments = append(r.moments, slices.Repeat([]time.Time{l.now}, len(d.Trace))...)
}

func (v *verifier) play() error {
	t := v.t
	v.rec.journey = t.Journey
	keeper := newCounter(v.p)
	for i, limit := range v.p.limits {
		if n, ok := t.Stock[limit.offer]; ok && limit.offer != "" {
			keeper.left[i] = n
		}
		if n, ok := t.Budget[limit.reward]; ok && limit.reward != "" {
			keeper.begin(i, n)
		}
	}
	from := t.Start
	for i := range t.Events {
		if t.Events[i].Stored.Before(from) {
			from = t.Events[i].Stored
		}
	}
	l := &life{p: v.p, from: from, now: from, member: t.Member, keeper: keeper, watch: v.rec}
	v.l = l
	if !t.NamedID {
		l.member.ID = v.memberID()
	}
	l.queue.push(future{at: from, join: true})
	last := from
	for i := range t.Events {
		e := &t.Events[i]
		f := future{at: e.Stored, enter: e.Enter, event: campaign.Event{
			ID: "event-" + strconv.Itoa(i+1), Type: e.Type, Time: e.At, Properties: e.Properties,
		}}
		if e.Decide != "" {
			f.ready = v.decision(e)
		}
		if e.Type == campaign.EventTeamFormed {
			f.ready = v.formation(e)
		}
		if e.Type == campaign.EventOfferReserved {
			f.ready = v.reserved(e)
		}
		if e.Call != "" {
			f.ready = v.answer(e)
		}
		l.queue.push(f)
		if e.Stored.After(last) {
			last = e.Stored
		}
	}
	if err := v.tagsAt(); err != nil {
		return err
	}
	if !t.Until.IsZero() {
		return l.run(t.Until)
	}
	return v.toRest(last)
}

// memberID is an id that is held out as the test wants it: not at all, unless it says so.
func (v *verifier) memberID() string {
	want := v.t.Holdout != nil && *v.t.Holdout
	for i := 1; i < 100_000; i++ {
		id := "test-" + strconv.Itoa(i)
		fits := true
		for k := range v.p.def.Journeys {
			j := &v.p.def.Journeys[k]
			if j.Holdout > 0 && (v.t.Journey == "" || j.Name == v.t.Journey || !want) {
				fits = fits && journey.HeldOut(v.p.def.Name, j.Name, id, j.Holdout) == want
			}
		}
		if fits {
			return id
		}
	}
	return "test-1"
}

// tagsAt looks at the tags at the moments that the test names, the end excepted.
func (v *verifier) tagsAt() error {
	list := v.t.Expect.Tags
	v.tags = make([][]string, len(list))
	order := make([]int, 0, len(list))
	for i := range list {
		if !list[i].At.IsZero() && (v.t.Until.IsZero() || !list[i].At.After(v.t.Until)) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return list[a].At.Compare(list[b].At) })
	for _, i := range order {
		if err := v.l.run(list[i].At); err != nil {
			return err
		}
		v.tags[i] = slices.Clone(v.l.member.Tags)
	}
	return nil
}

// decision decides about the review that is open at its moment.
func (v *verifier) decision(e *definitions.TestEvent) func(*life, *future) bool {
	return func(l *life, f *future) bool {
		for _, w := range l.walks {
			if key, ok := w.state.OpenReview(); ok && !w.done() {
				return f.decides(l, campaign.Verdict{Review: key, Decision: e.Decide, By: "test", Reason: "as the test says"})
			}
		}
		v.fail(e.Mark, "decide when a journey waits for a decision", "nobody is asked for a decision at %s", v.when(l.now))
		return false
	}
}

// formation lets the team come together in which she waits at its moment.
func (v *verifier) formation(e *definitions.TestEvent) func(*life, *future) bool {
	return func(l *life, f *future) bool {
		if l.formation(f) {
			return true
		}
		v.fail(e.Mark, "tell of "+campaign.WordTeamFormed+" while a journey waits at a team step, or before its end", "no team is waited for at %s", v.when(l.now))
		return false
	}
}

// toRest runs until nothing falls due any more.
func (v *verifier) toRest(last time.Time) error {
	l := v.l
	end := v.t.Start.Add(longest)
	for until := last; ; {
		if err := l.run(until); err != nil {
			return err
		}
		next := time.Time{}
		for _, w := range l.walks {
			if !w.done() && !w.due.IsZero() && (next.IsZero() || w.due.Before(next)) {
				next = w.due
			}
		}
		if len(l.queue.list) > 0 && (next.IsZero() || l.queue.list[0].at.Before(next)) {
			next = l.queue.list[0].at // a level that is looked at
		}
		switch {
		case !next.IsZero() && next.After(end):
			return nil
		case !next.IsZero():
			until = next
		case (l.sweeps || len(l.p.schedules) > 0) && until.Before(last.Add(sweptFor)):
			until = until.Add(24 * time.Hour)
		default:
			return nil
		}
	}
}

func (v *verifier) fail(m definitions.Mark, hint, format string, args ...any) {
	v.failures = append(v.failures, m.Fail(FailedTest, "test \""+v.t.Name+"\": "+fmt.Sprintf(format, args...), hint))
}

// when writes a moment as the campaign's clocks show it, and from the test's start.
func (v *verifier) when(t time.Time) string {
	local := t.In(v.p.loc)
	layout := "2006-01-02 15:04"
	if local.Second() != 0 {
		layout = "2006-01-02 15:04:05"
	}
	sign, d := "+", t.Sub(v.t.Start)
	if d < 0 {
		sign, d = "-", -d
	}
	return local.Format(layout) + " (" + sign + campaign.FormatDuration(d) + ")"
}

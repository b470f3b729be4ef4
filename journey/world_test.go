package journey_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/journey"
)

// world drives the core as PostgreSQL and Temporal would: it holds the truth in memory
// and takes turns at the moments that a test names.
type world struct {
	t       testing.TB
	p       *journey.Program
	version int // of p; 0: 1
	id      campaign.JourneyID
	state   journey.State
	member  campaign.Member
	events  []campaign.Event // by Seq
	stock   map[string]int   // left; absent: unlimited
	took    map[string]bool  // offers and the orders that took one of that name elsewhere
	budget  map[string]int64
	sends   []campaign.SendEffect
	offers  map[string]campaign.OfferEffect
	reviews map[string]campaign.Review
	trace   []campaign.TraceLine
	grants  []string
	goal    *campaign.Goal
	exposed []campaign.Exposure
	due     time.Time
	listens []string
	done    string
	now     time.Time // of the turn that is being taken
	teams   teams

	led        []*led // what orders led to
	points     int64
	goalRefund *campaign.GoalRefund
	offersBack []campaign.OfferRefund
	market     *market // of who buys together; nil: nobody does
	refunds    []campaign.RefundEffect
	told       []campaign.RefundTold

	referrals []campaign.ReferralEffect
	vests     []campaign.Answer // what is answered when a referral is to vest, one after the other; else that it may
	vested    []campaign.VestAsk
	measured  map[string]int64 // by what the last grant of a reward in steps was measured
	endNow    bool             // the next turns end the journey at once
}

func compile(t testing.TB, source string) *journey.Program {
	t.Helper()
	def, problems := definitions.Check("test.yaml", []byte(source))
	if def == nil {
		t.Fatalf("the campaign does not check:\n%s", problems.Text(false))
	}
	// Through JSON, as the store keeps it.
	data, err := json.Marshal(def)
	if err != nil {
		t.Fatal(err)
	}
	stored := new(campaign.Definition)
	if err := json.Unmarshal(data, stored); err != nil {
		t.Fatal(err)
	}
	p, err := journey.Compile(stored)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fitnessTrial(t testing.TB) string {
	t.Helper()
	source, err := os.ReadFile("../definitions/fitness-trial.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

var noon = time.Date(2026, 12, 1, 4, 0, 0, 0, time.UTC) // 12:00 in Shanghai

func event(id, typ string, at time.Time, properties string) campaign.Event {
	return campaign.Event{ID: id, Type: typ, Member: "m-1", Time: at, Stored: at, Properties: json.RawMessage(properties)}
}

func paid(id, offer, amount string, at time.Time) campaign.Event {
	return event(id, "order.paid", at, fmt.Sprintf(`{"order":"o-%s","offer":%q,"amount":{"amount":%q,"currency":"CNY"}}`, id, offer, amount))
}

// enter lets the member in by the first event; all are numbered in the order of their
// storing.
func enter(t testing.TB, p *journey.Program, name string, events ...campaign.Event) *world {
	t.Helper()
	w := &world{
		t: t, p: p, member: campaign.Member{ID: "m-1", JoinedAt: noon.Add(-time.Hour)},
		stock: map[string]int{}, budget: map[string]int64{}, offers: map[string]campaign.OfferEffect{}, reviews: map[string]campaign.Review{},
		measured: map[string]int64{},
	}
	start := events[0].ID
	w.events = slices.Clone(events)
	sort.SliceStable(w.events, func(i, j int) bool { return w.events[i].Stored.Before(w.events[j].Stored) })
	var first *campaign.Event
	for i := range w.events {
		w.events[i].Seq = int64(i + 1)
		if w.events[i].ID == start {
			first = &w.events[i]
		}
	}
	for _, c := range p.StartsOn(first.Type) {
		if c.Journey != name {
			continue
		}
		adm, why, err := p.Admit(c, journey.Entrant{Campaign: p.Definition().Name, Member: &w.member, Event: first, Now: first.Stored})
		if err != nil || why != "" {
			t.Fatalf("not admitted: %q %v", why, err)
		}
		w.id, w.state = adm.ID, adm.State
		return w
	}
	t.Fatalf("no journey %s starts on %s", name, first.Type)
	return nil
}

// turn takes one turn at a moment.
func (w *world) turn(now time.Time) campaign.Decision {
	w.t.Helper()
	types, questions, err := w.p.NeedsIn(w.id.Journey, &w.state)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range w.listens {
		if !slices.Contains(types, name) {
			w.t.Fatalf("the journey listens to %s, and is not told of it: %v", name, types)
		}
	}
	step, inMemory := w.p.Turn, w.p.TurnState
	if w.done != "" {
		step, inMemory = w.p.After, w.p.AfterState
	}
	return w.take(now, types, questions, step, inMemory)
}

// take runs one turn of whatever kind until it asks nothing more. inMemory is the same for
// drivers that keep states as they are; nil: it has none.
func (w *world) take(now time.Time, types []string, questions []campaign.Behaviour,
	step func(journey.State, journey.Input) (campaign.Decision, *campaign.Ask, error),
	inMemory func(journey.State, journey.Input) (journey.State, campaign.Decision, *campaign.Ask, error),
) campaign.Decision {
	w.t.Helper()
	w.now = now
	in := journey.Input{
		ID: w.id, Version: max(1, w.version), Now: now, Member: &w.member, Answers: map[string]campaign.Answer{},
		Behaviour: map[campaign.Behaviour]campaign.BehaviourValue{}, Taken: map[string]int{}, Via: []string{"console"}, EndNow: w.endNow,
	}
	for _, e := range w.events {
		known := !e.Stored.After(now) && slices.Contains(types, e.Type)
		if known && (e.Seq > w.state.Cursor || !e.Time.Before(w.state.Since)) {
			in.Events = append(in.Events, e)
		}
	}
	for _, q := range questions {
		var v campaign.BehaviourValue
		for _, e := range w.events {
			if e.Type == q.Event && !e.Stored.After(now) && (q.Within == 0 || e.Time.After(now.Add(-q.Within))) {
				v.Count++
			}
		}
		in.Behaviour[q] = v
	}
	for _, s := range w.sends {
		if s.Kind == campaign.KindMarketing {
			in.Sent = append(in.Sent, s.At)
		}
	}
	for _, o := range w.offers {
		if o.State == campaign.OfferTaken && !w.restocked(o.ID) || o.Ordered {
			in.Taken[o.Offer]++
		}
	}
	before, err := w.state.Save()
	if err != nil {
		w.t.Fatal(err)
	}
	for {
		d, ask, err := step(w.state, in)
		if err != nil {
			w.t.Fatal(err)
		}
		if after, _ := w.state.Save(); string(after) != string(before) {
			w.t.Fatalf("the core wrote into the state that it was given:\n%s\n%s", before, after)
		}
		if inMemory != nil {
			w.same(inMemory, in, d, ask)
		}
		if ask == nil {
			w.apply(&d)
			return d
		}
		in.Answers[ask.Key] = w.answer(ask)
	}
}

// same holds the path for drivers in memory to the one that everybody takes.
func (w *world) same(
	inMemory func(journey.State, journey.Input) (journey.State, campaign.Decision, *campaign.Ask, error),
	in journey.Input, want campaign.Decision, wantAsk *campaign.Ask,
) {
	w.t.Helper()
	state, d, ask, err := inMemory(w.state, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if wantAsk == nil {
		if d.State, err = state.Save(); err != nil {
			w.t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(want, d) || !reflect.DeepEqual(wantAsk, ask) {
		w.t.Fatalf("a turn in memory differs (-written +in memory):\n%s", cmp.Diff(want, d)+cmp.Diff(wantAsk, ask))
	}
}

func (w *world) answer(ask *campaign.Ask) campaign.Answer {
	switch {
	case ask.Take != nil && ask.Take.Order != "" && w.took[ask.Take.Offer+" "+ask.Take.Order]:
		return campaign.Answer{Reason: campaign.TeamOrderTwice}
	case ask.Take != nil && ask.Take.Full: // and nothing is taken
	case ask.Take != nil && w.market != nil:
		w.market.left--
	case ask.Take != nil:
		left, limited := w.stock[ask.Take.Offer]
		if limited && left == 0 {
			return campaign.Answer{Reason: campaign.RefusedStock}
		}
		w.stock[ask.Take.Offer] = left - 1
		if !limited {
			delete(w.stock, ask.Take.Offer)
		}
	case ask.Grant != nil:
		left, limited := w.budget[ask.Grant.Reward]
		if limited && left < ask.Grant.Points {
			return campaign.Answer{Reason: campaign.RefusedBudget}
		}
		if limited {
			w.budget[ask.Grant.Reward] = left - ask.Grant.Points
		}
		if ask.Grant.Value != nil {
			w.measured[ask.Grant.Reward] = *ask.Grant.Value
		}
		w.grants = append(w.grants, ask.Grant.Reward)
		if ask.Grant.To == "" {
			w.points += ask.Grant.Points
		}
		w.led = append(w.led, &led{ask.Grant.Order, ask.Grant.Reward, ask.Grant.To, ask.Grant.Points, 0})
	case ask.ClawBack != nil:
		return w.clawBack(ask.ClawBack)
	case ask.Team != nil && w.market != nil:
		return w.market.answer(w, ask)
	case ask.Team != nil:
		return w.teams.answer(ask, w.now)
	case ask.Vest != nil:
		w.vested = append(w.vested, *ask.Vest)
		if len(w.vests) > 0 {
			a := w.vests[0]
			w.vests = w.vests[1:]
			return a
		}
		return campaign.Answer{OK: true, Success: 1}
	}
	return campaign.Answer{OK: true}
}

func (w *world) apply(d *campaign.Decision) {
	w.t.Helper()
	state, err := journey.LoadState(d.State)
	if err != nil {
		w.t.Fatal(err)
	}
	w.state = state
	w.sends = append(w.sends, d.Sends...)
	for _, o := range d.Offers {
		if o.Reopened {
			if old := w.offers[o.ID]; old.State != campaign.OfferWithdrawn && old.State != campaign.OfferLapsed {
				w.t.Fatalf("offer %s is opened again, and is %q", o.ID, old.State)
			}
		} else if old, ok := w.offers[o.ID]; o.State == campaign.OfferOpen && (o.Ordered || o.GaveBack) {
			if !ok || old.State != campaign.OfferOpen || old.Ordered == o.Ordered {
				w.t.Fatalf("offer %s, which was %+v, is now %+v", o.ID, old, o)
			}
		} else if ok == (o.State == campaign.OfferOpen) || ok && old.State != campaign.OfferOpen {
			w.t.Fatalf("offer %s goes from %q to %q", o.ID, old.State, o.State)
		}
		if o.GaveBack {
			w.market.back(o.Offer)
		}
		w.offers[o.ID] = o
	}
	w.refunds, w.told = append(w.refunds, d.RefundsAsked...), append(w.told, d.RefundsTold...)
	for _, r := range d.Reviews {
		old, ok := w.reviews[r.Key]
		switch {
		case r.State == campaign.ReviewOpen && !ok:
			w.reviews[r.Key] = r
		case r.State != campaign.ReviewOpen && ok && old.State == campaign.ReviewOpen:
			old.State = r.State
			w.reviews[r.Key] = old
		case r.State == campaign.ReviewOpen && r.Kind == campaign.ReviewDecide:
			w.t.Fatalf("review %s is opened twice", r.Key)
		case r.State != campaign.ReviewOpen:
			w.t.Fatalf("review %s goes from %q to %q", r.Key, old.State, r.State)
		}
	}
	for _, tag := range d.Member.RemoveTags {
		w.member.Tags = slices.DeleteFunc(w.member.Tags, func(s string) bool { return s == tag })
	}
	for _, tag := range d.Member.AddTags {
		if !slices.Contains(w.member.Tags, tag) {
			w.member.Tags = append(w.member.Tags, tag)
		}
	}
	for name, value := range d.Member.Set {
		w.member.Attributes = maps.Clone(w.member.Attributes)
		if w.member.Attributes == nil {
			w.member.Attributes = map[string]json.RawMessage{}
		}
		w.member.Attributes[name] = value
	}
	w.referrals = append(w.referrals, d.Referrals...)
	w.trace = append(w.trace, d.Trace...)
	w.exposed = append(w.exposed, d.Exposures...)
	if d.Goal != nil {
		if w.goal != nil {
			w.t.Fatal("the goal is recorded twice")
		}
		w.goal = d.Goal
	}
	w.refunded(d)
	w.due, w.listens, w.done = d.WaitUntil, d.Listens, d.Outcome
	if w.done != "" {
		w.due = time.Time{}
	}
}

// punctual takes a turn at the very moment of everything that happens or falls due,
// until end.
func (w *world) punctual(end time.Time) *world {
	w.t.Helper()
	now := w.events[0].Stored
	for _, e := range w.events {
		if e.Seq == w.state.Cursor {
			now = e.Stored
		}
	}
	for range 10_000 {
		w.turn(now)
		next := end
		for _, e := range w.events {
			if e.Stored.After(now) && e.Stored.Before(next) {
				next = e.Stored
			}
		}
		if !w.due.IsZero() && w.due.Before(next) {
			next = w.due
		}
		if !next.After(now) {
			next = now.Add(time.Microsecond)
		}
		if !next.Before(end) {
			w.turn(end)
			return w
		}
		now = next
	}
	w.t.Fatal("the journey does not come to rest")
	return nil
}

// lasting are the decisions that must not depend on when turns ran.
var lasting = []campaign.TraceKind{
	campaign.TraceRound, campaign.TraceRoundsOver, campaign.TraceExposed, campaign.TracePassed, campaign.TraceWaiting,
	campaign.TraceLate, campaign.TraceHappened, campaign.TraceTimedOut, campaign.TraceReviewBackup, campaign.TraceReviewDecided,
	campaign.TraceReviewOver, campaign.TraceReviewTooLate, campaign.TraceTeamFormed, campaign.TraceTeamFailed, campaign.TraceAnswered, campaign.TraceNotUnderstood,
	campaign.TraceCallAnswered, campaign.TraceCallRefused,
}

// verdict is what must not depend on when turns ran.
func (w *world) verdict() string {
	var b strings.Builder
	fmt.Fprintf(&b, "outcome %s, grants %v, tags %v\n", w.done, w.grants, w.member.Tags)
	var lines []string
	for _, o := range w.offers {
		lines = append(lines, fmt.Sprintf("offer %s %s %s–%s closed %s order %q", o.Offer, o.State,
			o.OpenedAt.Format(time.RFC3339), o.ExpiresAt.Format(time.RFC3339), o.ClosedAt.Format(time.RFC3339), o.Order))
	}
	for _, r := range w.reviews {
		lines = append(lines, fmt.Sprintf("review %s %s %s %s–%s", r.Kind, r.Event, r.State, r.At.Format(time.RFC3339), r.ClosesAt.Format(time.RFC3339)))
	}
	for _, l := range w.trace {
		if slices.Contains(lasting, l.Kind) {
			lines = append(lines, fmt.Sprintf("%s %s %v", l.Kind, l.Step, l.Params))
		}
	}
	for _, x := range w.exposed {
		lines = append(lines, fmt.Sprintf("exposed to %s of %s at %s", x.Arm, x.Split, x.At.Format(time.RFC3339Nano)))
	}
	if w.goal != nil {
		lines = append(lines, "goal "+w.goal.Event+" "+w.goal.Value.String())
	}
	lines = append(lines, w.books()...)
	sort.Strings(lines)
	b.WriteString(strings.Join(lines, "\n"))
	return b.String()
}

func (w *world) messages() string {
	names := make([]string, len(w.sends))
	for i, s := range w.sends {
		names[i] = s.Message
	}
	return strings.Join(names, " ")
}

func (w *world) story() string {
	var b strings.Builder
	for _, l := range w.trace {
		fmt.Fprintf(&b, "%s  %s\n", l.At.In(time.FixedZone("CST", 8*3600)).Format("01-02 15:04:05"), l.Words(campaign.English))
	}
	return b.String()
}

package journey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

const bringing = `
campaign: bringing
title: bringing
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string, amount: money}
  order.charged_back: {order: string}
  lesson.joined: {}
roles: {keeper: {title: Keeper, backup: owner}, owner: }
rewards:
  bring: {points: 200}
  first: {points: 100}
referral:
  qualifies: {on: order.paid, when: event.offer == "trial", within: 10d, grace: 1h}
  hold: 48h
  claw_back: 5d
  rewards: {inviter: bring, invitee: first}
  fraud:
    review: {by: keeper, for: 24h, otherwise: reject}
journeys:
  thanked:
    start: [{referral: bound}, {on: lesson.joined}]
    entry: every_time
    goal: {on: order.paid, when: "false"}
    steps:
      - grant: bring
        to: inviter
`

// bond is the event by which a member is bound.
func bond(at time.Time, more string) campaign.Event {
	return event("@banyan/referral/7/bound", campaign.EventReferralBound, at,
		fmt.Sprintf(`{"campaign":"bringing","referral":"7","code":"23456789CD","inviter":"m-0"%s}`, more))
}

// states are what a referral came to, and when, in days.
func (w *world) states() string {
	var out []string
	for _, r := range w.referrals {
		out = append(out, fmt.Sprintf("%s %.2f", r.State, r.At.Sub(noon).Hours()/24))
	}
	return strings.Join(out, ", ")
}

// tookBack is how many points were taken back because of orders, from whomever.
func (w *world) tookBack() (points int64) {
	for _, g := range w.led {
		points += g.back
	}
	return points
}

// What a referral comes to by its events and by time, at the edges of each span.
func TestReferralByEventTime(t *testing.T) {
	t.Parallel()
	p := compile(t, bringing)
	at := func(e campaign.Event, stored time.Time) campaign.Event { e.Stored = stored; return e }
	last := noon.Add(10 * day)
	for _, c := range []struct {
		name   string
		events []campaign.Event
		want   string
		grants string
	}{
		{"nobody comes", nil, "expired 10.00", ""},
		{"vested", []campaign.Event{paid("1", "trial", "9.90", noon.Add(day))}, "qualified 1.00, vested 3.00", "first bring"},
		{"at the last moment", []campaign.Event{paid("1", "trial", "9.90", last)}, "qualified 10.00, vested 12.00", "first bring"},
		{"a second after it", []campaign.Event{paid("1", "trial", "9.90", last.Add(time.Second))}, "expired 10.00", ""},
		{"in time, told within the grace", []campaign.Event{at(paid("1", "trial", "9.90", last), last.Add(time.Hour))}, "qualified 10.00, vested 12.00", "first bring"},
		{"in time, told behind the grace", []campaign.Event{at(paid("1", "trial", "9.90", last), last.Add(time.Hour+time.Second))}, "expired 10.00", ""},
		{"another offer", []campaign.Event{paid("1", "card", "199.00", noon.Add(day))}, "expired 10.00", ""},
		{"refunded in the hold", []campaign.Event{paid("1", "trial", "9.90", noon.Add(day)), refund("2", "o-1", "", noon.Add(3*day))}, "qualified 1.00, rejected 3.00", ""},
		{"refunded behind it", []campaign.Event{paid("1", "trial", "9.90", noon.Add(day)), refund("2", "o-1", "", noon.Add(3*day+time.Second))}, "qualified 1.00, vested 3.00, clawed-back 3.00", "first bring"},
		{"refunded too late", []campaign.Event{paid("1", "trial", "9.90", noon.Add(day)), refund("2", "o-1", "", noon.Add(8*day+time.Second))}, "qualified 1.00, vested 3.00", "first bring"},
		{"refund told first", []campaign.Event{refund("2", "o-1", "", noon.Add(day)), at(paid("1", "trial", "9.90", noon.Add(time.Hour)), noon.Add(day+time.Hour))}, "expired 10.00", ""},
		{"charged back", []campaign.Event{paid("1", "trial", "9.90", noon.Add(day)), event("2", "order.charged_back", noon.Add(4*day), `{"order":"o-1"}`)}, "qualified 1.00, vested 3.00, clawed-back 4.00", "first bring"},
		{"another order's refund", []campaign.Event{paid("1", "trial", "9.90", noon.Add(day)), refund("2", "o-9", "", noon.Add(2*day))}, "qualified 1.00, vested 3.00", "first bring"},
		{"told long after the hold", []campaign.Event{at(paid("1", "trial", "9.90", noon.Add(day)), noon.Add(6*day))}, "qualified 1.00, vested 3.00", "first bring"},
		{"twice", []campaign.Event{paid("1", "trial", "9.90", noon.Add(day)), paid("2", "trial", "9.90", noon.Add(2*day))}, "qualified 1.00, vested 3.00", "first bring"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, p, campaign.ReferralJourney, append([]campaign.Event{bond(noon, "")}, c.events...)...).punctual(noon.Add(30 * day))
			if got := w.states(); got != c.want {
				t.Errorf("came to %s, want %s\n%s", got, c.want, w.story())
			}
			if got := strings.Join(w.grants, " "); got != c.grants {
				t.Errorf("granted %q, want %q", got, c.grants)
			}
			want := int64(0)
			if strings.Contains(c.want, "clawed") {
				want = 300
			}
			if got := w.tookBack(); got != want {
				t.Errorf("%d points were taken back of both, want %d\n%s", got, want, w.story())
			}
			if w.done == "" {
				t.Error("it does not end")
			}
		})
	}
}

// A part of the qualifying order that goes back takes that part of both rewards, whenever it
// is told; the referral counts until the rest has gone back too.
func TestReferralRefundedInParts(t *testing.T) {
	t.Parallel()
	p := compile(t, bringing)
	part := func(id, amount string, at time.Time) campaign.Event { return refund(id, "o-1", amount, at) }
	order := paid("1", "trial", "10.00", noon.Add(day))
	for _, c := range []struct {
		name   string
		events []campaign.Event
		want   string
		back   int64
	}{
		{"in the hold", []campaign.Event{order, part("2", "2.50", noon.Add(2*day))}, "qualified 1.00, vested 3.00", 75},
		{"behind it", []campaign.Event{order, part("2", "2.50", noon.Add(4*day))}, "qualified 1.00, vested 3.00", 75},
		{"told twice", []campaign.Event{order, part("2", "2.50", noon.Add(4*day)), part("2", "2.50", noon.Add(5*day))}, "qualified 1.00, vested 3.00", 75},
		{"in two halves", []campaign.Event{order, part("2", "5.00", noon.Add(2*day)), part("3", "5.00", noon.Add(4*day))}, "qualified 1.00, vested 3.00, clawed-back 4.00", 300},
		{"both in the hold", []campaign.Event{order, part("2", "5.00", noon.Add(2*day)), part("3", "5.00", noon.Add(3*day-time.Hour))}, "qualified 1.00, rejected 2.96", 0},
		{"too late", []campaign.Event{order, part("2", "2.50", noon.Add(9*day))}, "qualified 1.00, vested 3.00", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, p, campaign.ReferralJourney, append([]campaign.Event{bond(noon, "")}, c.events...)...).punctual(noon.Add(30 * day))
			if got := w.states(); got != c.want || w.tookBack() != c.back {
				t.Errorf("came to %s and took back %d, want %s and %d\n%s", got, w.tookBack(), c.want, c.back, w.story())
			}
		})
	}
}

// When the rewards are to be given the rules of fraud may have found more: then a person
// decides, once, or nothing is given.
func TestReferralJudgedWhenItVests(t *testing.T) {
	t.Parallel()
	held, never, yes := campaign.Answer{Held: true}, campaign.Answer{Reason: campaign.ReasonFraud}, campaign.Answer{OK: true, Success: 1}
	alone := strings.Replace(bringing, "  fraud:\n    review: {by: keeper, for: 24h, otherwise: reject}\n", "", 1)
	for _, c := range []struct {
		name, source string
		answers      []campaign.Answer
		decide       string
		want         string
		asked        int
	}{
		{"rejected", bringing, []campaign.Answer{never}, "", "qualified 1.00, rejected 3.00", 1},
		{"held, and nobody decides", bringing, []campaign.Answer{held}, "", "qualified 1.00, rejected 5.00", 1},
		{"held and approved", bringing, []campaign.Answer{held, yes}, "approve", "qualified 1.00, vested 3.50", 2},
		{"held and rejected", bringing, []campaign.Answer{held}, "reject", "qualified 1.00, rejected 3.50", 1},
		{"approved, and more was found", bringing, []campaign.Answer{held, never}, "approve", "qualified 1.00, rejected 3.50", 2},
		{"held where nobody is asked", alone, []campaign.Answer{held}, "", "qualified 1.00, rejected 3.00", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := enter(t, compile(t, c.source), campaign.ReferralJourney, bond(noon, ""), paid("1", "trial", "9.90", noon.Add(day)))
			w.vests = c.answers
			for _, now := range []time.Duration{0, day, 3 * day} {
				w.turn(noon.Add(now))
			}
			for key, v := range w.reviews {
				if v.State == campaign.ReviewOpen && c.decide != "" {
					e := verdictOn(key, c.decide, noon.Add(3*day+12*time.Hour))
					e.Seq = int64(len(w.events) + 1)
					w.events = append(w.events, *e)
				}
			}
			w.punctual(noon.Add(30 * day))
			if got := w.states(); got != c.want || len(w.vested) != c.asked {
				t.Errorf("came to %s after %d questions, want %s after %d\n%s", got, len(w.vested), c.want, c.asked, w.story())
			}
			for i, ask := range w.vested {
				if ask.Approved != (i > 0) {
					t.Errorf("question %d: approved %t", i, ask.Approved)
				}
			}
		})
	}
}

// Whoever ends a campaign at once ends no refund: the rewards are taken back as long as they
// would have been.
func TestReferralRefundedAfterItWasEnded(t *testing.T) {
	t.Parallel()
	p := compile(t, bringing)
	for _, c := range []struct {
		after time.Duration
		want  string
		back  int64
	}{
		{4 * day, "qualified 1.00, vested 3.00, clawed-back 7.00", 300},
		{6 * day, "qualified 1.00, vested 3.00", 0},
	} {
		w := enter(t, p, campaign.ReferralJourney, bond(noon, ""), paid("1", "trial", "9.90", noon.Add(day)), refund("2", "o-1", "", noon.Add(3*day+c.after)))
		for _, now := range []time.Duration{0, day, 3 * day} {
			w.turn(noon.Add(now))
		}
		w.endNow = true
		w.turn(noon.Add(3*day + time.Hour))
		w.endNow = false
		w.turn(noon.Add(3*day + c.after))
		if got := w.states(); got != c.want || w.tookBack() != c.back || w.done != campaign.OutcomeEnded {
			t.Errorf("refunded %s later: %s, took back %d, %s; want %s and %d\n%s", c.after, got, w.tookBack(), w.done, c.want, c.back, w.story())
		}
	}
}

// A reward in steps rises with the successes of the inviter.
func TestReferralStepsAreTheInvitersSuccesses(t *testing.T) {
	t.Parallel()
	source := strings.Replace(bringing, "  bring: {points: 200}\n", "  bring: {points: 200}\n  ladder: {steps: [{at: 1, points: 100}, {at: 3, points: 400}]}\n", 1)
	p := compile(t, strings.Replace(source, "{inviter: bring, invitee: first}", "{inviter: ladder, invitee: first}", 1))
	w := enter(t, p, campaign.ReferralJourney, bond(noon, ""), paid("1", "trial", "9.90", noon.Add(day)))
	w.vests = []campaign.Answer{{OK: true, Success: 3}}
	w.punctual(noon.Add(30 * day))
	if w.measured["ladder"] != 3 {
		t.Errorf("measured by %d\n%s", w.measured["ladder"], w.story())
	}
}

// A referral that is held waits for a person, and for no longer than she has.
func TestHeldReferral(t *testing.T) {
	t.Parallel()
	p := compile(t, bringing)
	for _, c := range []struct {
		name   string
		decide func(key string) *campaign.Event
		want   string
	}{
		{"nobody decides", func(string) *campaign.Event { return nil }, "qualified 1.00, rejected 3.00"},
		{"approved in the hold", func(key string) *campaign.Event { return verdictOn(key, "approve", noon.Add(2*day)) }, "qualified 1.00, vested 3.00"},
		{"rejected", func(key string) *campaign.Event { return verdictOn(key, "reject", noon.Add(2*day)) }, "qualified 1.00, rejected 2.00"},
		{"approved behind the hold", func(key string) *campaign.Event { return verdictOn(key, "approve", noon.Add(3*day+12*time.Hour)) }, "qualified 1.00, vested 3.50"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			source := bringing
			if strings.Contains(c.name, "behind") {
				source = strings.Replace(source, "for: 24h", "for: 72h", 1)
			}
			q := p
			if source != bringing {
				q = compile(t, source)
			}
			w := enter(t, q, campaign.ReferralJourney, bond(noon, `,"held":true`), paid("1", "trial", "9.90", noon.Add(day)))
			w.turn(noon)
			w.turn(noon.Add(day))
			if len(w.reviews) != 1 {
				t.Fatalf("%d reviews", len(w.reviews))
			}
			for key := range w.reviews {
				if e := c.decide(key); e != nil {
					e.Seq = int64(len(w.events) + 1)
					w.events = append(w.events, *e)
				}
			}
			w.punctual(noon.Add(30 * day))
			if got := w.states(); got != c.want {
				t.Errorf("came to %s, want %s\n%s", got, c.want, w.story())
			}
			for _, r := range w.reviews {
				if r.State == campaign.ReviewOpen && !strings.Contains(c.want, "vested") && c.name == "nobody decides" {
					t.Error("the review is open still")
				}
			}
		})
	}
}

func verdictOn(key, decision string, at time.Time) *campaign.Event {
	e := event("@banyan/review/1", campaign.EventReviewDecided, at, fmt.Sprintf(`{"review":%q,"decision":%q,"by":"lin"}`, key, decision))
	return &e
}

// Whatever happens, and however late turns run, a referral comes to the same: its states only
// move forward, and each side is rewarded at most once.
func TestReferralDoesNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	p := compile(t, bringing)
	rapid.Check(t, func(rt *rapid.T) {
		hours := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most*60).Draw(rt, name)) * time.Minute
		}
		events := []campaign.Event{bond(noon, "")}
		for i := range rapid.IntRange(0, 6).Draw(rt, "events") {
			id, at := fmt.Sprintf("e%d", i), noon.Add(hours("time", 18*24))
			order := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "order")
			e := refund(id, order, "", at)
			if rapid.Bool().Draw(rt, "pays") {
				e = event(id, "order.paid", at, fmt.Sprintf(`{"order":%q,"offer":%q}`, order, rapid.SampledFrom([]string{"trial", "trial", "card"}).Draw(rt, "offer")))
			}
			e.Stored = at.Add(hours("delay", 48))
			events = append(events, e)
		}
		end := noon.Add(40 * day)
		want := enter(t, p, campaign.ReferralJourney, events...).punctual(end)
		w := enter(t, p, campaign.ReferralJourney, events...)
		for now := noon.Add(hours("first", 48)); now.Before(end); now = now.Add(time.Minute + hours("gap", 72)) {
			w.turn(now)
			if rapid.Bool().Draw(rt, "again") {
				w.turn(now)
			}
		}
		w.turn(end)
		if w.states() != want.states() || w.done != want.done || !slices.Equal(w.grants, want.grants) || w.tookBack() != want.tookBack() {
			rt.Fatalf("came to %s, %s\npunctual: %s, %s\n%s\npunctual:\n%s", w.states(), w.done, want.states(), want.done, w.story(), want.story())
		}
		before := campaign.ReferralBound
		for _, r := range w.referrals {
			if !r.State.Follows(before) {
				rt.Fatalf("from %s to %s", before, r.State)
			}
			before = r.State
		}
		if len(w.grants) > 2 || w.tookBack() > 300 || (w.tookBack() == 300) != (before == campaign.ReferralClawedBack) {
			rt.Fatalf("granted %v, taken back %d, %s", w.grants, w.tookBack(), before)
		}
	})
}

// Whoever is rewarded by `to: inviter` is the one who brought the member, by the binding or by
// what is known of her; nobody rewards herself.
func TestGrantToInviter(t *testing.T) {
	t.Parallel()
	p := compile(t, bringing)
	for _, c := range []struct {
		name, known string
		start       campaign.Event
		says        string
	}{
		{"bound", "somebody", bond(noon, ""), "granted bring to the inviter: 200 points"},
		{"known", "m-9", event("1", "lesson.joined", noon, `{}`), "granted bring to the inviter: 200 points"},
		{"nobody", "", event("1", "lesson.joined", noon, `{}`), "NOT granted to the inviter: nobody invited this member"},
		{"herself", "m-1", event("1", "lesson.joined", noon, `{}`), "NOT granted to the inviter: nobody invited this member"},
	} {
		w := enter(t, p, "thanked", c.start)
		w.member.Inviter = c.known
		w.turn(noon)
		if !strings.Contains(w.story(), c.says) || w.member.Points != 0 {
			t.Errorf("%s: %d points\n%s", c.name, w.member.Points, w.story())
		}
	}
}

// The window is that of the binding: what comes of it later is told and followed still.
func TestReferralBehindTheWindow(t *testing.T) {
	t.Parallel()
	source := strings.Replace(bringing, "title: bringing\n", "title: bringing\nwindow: {until: 2026-12-01}\n", 1)
	p := compile(t, strings.Replace(source, "{on: lesson.joined}]", "{on: lesson.joined}, {on: order.paid}]", 1))
	later := noon.Add(9 * day)
	admitted := func(e campaign.Event) (why string) {
		t.Helper()
		for _, c := range p.StartsOn(e.Type) {
			var err error
			if _, why, err = p.Admit(c, journey.Entrant{Campaign: "bringing", Member: &campaign.Member{ID: "m-1"}, Event: &e, Now: later}); err != nil || why != "" {
				return why
			}
		}
		return why
	}
	if why := admitted(bond(noon, "")); why != "" {
		t.Errorf("who was bound in it is not followed: %s", why)
	}
	if why := admitted(paid("1", "trial", "9.90", later)); why != journey.NotWindow {
		t.Errorf("others come in behind it: %q", why)
	}
}

// An event that tells of another campaign's referral, or that did not come from Banyan, lets
// nobody in.
func TestReferralOfAnotherCampaign(t *testing.T) {
	t.Parallel()
	p := compile(t, bringing)
	other, forged := bond(noon, ""), bond(noon, "")
	other.Properties = []byte(strings.Replace(string(other.Properties), "bringing", "another", 1))
	forged.ID = "forged"
	for name, e := range map[string]campaign.Event{"another campaign's": other, "forged": forged} {
		for _, c := range p.StartsOn(e.Type) {
			if _, why, err := p.Admit(c, journey.Entrant{Campaign: "bringing", Member: &campaign.Member{ID: "m-1"}, Event: &e, Now: noon}); why != journey.NotMatched || err != nil {
				t.Errorf("%s lets her into %s: %q %v", name, c.Journey, why, err)
			}
		}
	}
}

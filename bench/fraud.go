package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/banyanhq/banyan/fraud"
)

func fraudBench() *benchmark {
	return &benchmark{
		name: "fraud", title: "which invitations the rules against fraud stop",
		about: "Invitations of one month by people who are made up: friends, families, dormitories, offices, bloggers' readers and branches of a gym, and among them eleven kinds of fraud, each done clumsily by some and well by others. " +
			"Whoever makes them up knows nothing of the rules. Each invitation is judged when it is asked for, and again 48 hours later when its reward would vest, from facts that are counted in memory. " +
			"What is stopped is held for a person or rejected. Beside it stands what one would write by hand in an afternoon: one reward for a device and a phone number, five a day from one address block, else rejected.",
		sizes: []size{
			{name: "binds", about: "invitations", usual: 100_000, short: 3000, full: 1_000_000},
			{name: "rounds", about: "times that each is measured, with other people each time", usual: 3, short: 1, full: 3},
		},
		run: runFraud,
	}
}

const (
	byRules, byLimits = "Banyan's default rules", "limits by hand"
	vesting           = 48 * time.Hour
)

// outcome is what became of one request.
type outcome struct {
	asked   *asked
	verdict fraud.Verdict
}

func runFraud(_ context.Context, r *run) error {
	if err := rounds(r.size("rounds"), func(round int) error {
		p := populate(uint64(round+1), r.size("binds"))
		began := time.Now()
		judged, facts, err := judgeMonth(p, fraud.Rules{})
		if err != nil {
			return err
		}
		r.tellFraud(byRules, judged, time.Since(began))
		began = time.Now()
		for i := range facts {
			fraud.Judge(fraud.Rules{}, facts[i])
		}
		r.add(fraudAll, rulesAlone, byRules, "/s", float64(len(facts))/time.Since(began).Seconds())
		r.tellRules(judged)
		began = time.Now()
		limited := limitMonth(p)
		r.tellFraud(byLimits, limited, time.Since(began))
		return nil
	}); err != nil {
		return err
	}
	r.atLeast(fraudAll, "percent of the planted fraud that is stopped", r.median(fraudAll, recall, byRules), 75)
	r.atLeast(fraudAll, "percent of the rejected that is fraud", r.median(fraudAll, rejectedRightly, byRules), 95)
	r.atLeast(fraudAll, "percent of the honest who are let through without a look", r.median(fraudAll, honestFree, byRules), 95)
	r.atLeast(fraudAll, "invitations judged in a second, facts and all", r.median(fraudAll, judgedRate, byRules), 20_000)
	return nil
}

const (
	fraudAll        = "all together"
	recall          = "planted fraud that is stopped (recall)"
	precision       = "of the stopped, fraud (precision)"
	rejectedRightly = "of the rejected, fraud"
	honestFree      = "of the honest, let through without a look"
	judgedRate      = "judged, twice each, with the counting of facts"
	rulesAlone      = "judged once, facts given"
)

// judgeMonth judges every request as it comes, and again when its reward would vest.
func judgeMonth(p *population, rules fraud.Rules) ([]outcome, []fraud.Facts, error) {
	if err := rules.Check(); err != nil {
		return nil, nil, fmt.Errorf("the rules: %w", err)
	}
	l := newLedger(p, rules)
	var leaving []*asked // at once, by the time at which they leave
	for i := range p.asked {
		if a := &p.asked[i]; a.left > 0 && a.left < rules.Within(fraud.LeftAtOnce) {
			leaving = append(leaving, a)
		}
	}
	slices.SortFunc(leaving, func(a, b *asked) int { return int(a.at + a.left - b.at - b.left) })
	judged := make([]outcome, 0, len(p.asked))
	facts := make([]fraud.Facts, 0, len(p.asked))
	vest := func(until time.Duration, next int) int {
		for ; next < len(judged) && judged[next].asked.at+vesting <= until; next++ {
			o := &judged[next]
			if o.verdict.Rejected() {
				continue
			}
			f := facts[next]
			f.Left, f.LeftAfter = o.asked.left > 0 && o.asked.left < vesting, o.asked.left
			l.recount(&f, o.asked, o.asked.at+vesting)
			if o.verdict = fraud.Judge(rules, f); o.verdict.Rejected() {
				l.drop(o.asked)
			}
		}
		return next
	}
	next, gone := 0, 0
	pass := func(until time.Duration) {
		for ; gone < len(leaving) && leaving[gone].at+leaving[gone].left <= until; gone++ {
			l.departed(leaving[gone])
		}
		next = vest(until, next)
	}
	for i := range p.asked {
		a := &p.asked[i]
		pass(a.at)
		if l.repeated(a) {
			continue // answered as before
		}
		l.typed(a)
		f := l.facts(a)
		v := fraud.Judge(rules, f)
		l.keep(a, v)
		judged, facts = append(judged, outcome{a, v}), append(facts, f)
	}
	pass(month + 2*vesting + month)
	return judged, facts, nil
}

// limitMonth is what one would write by hand.
func limitMonth(p *population) []outcome {
	type place struct {
		network netip.Prefix
		day     int
	}
	devices, phones, places, bound, seen := map[int]bool{}, map[int]bool{}, map[place]int{}, map[string]bool{}, map[int]bool{}
	judged := make([]outcome, 0, len(p.asked))
	for i := range p.asked {
		a := &p.asked[i]
		x := p.people[a.invitee]
		if seen[a.request] && bound[a.invitee] {
			continue
		}
		bits := 24
		if a.from.Is6() {
			bits = 48
		}
		network, _ := a.from.Prefix(bits)
		at := place{network, int(a.at / (24 * time.Hour))}
		places[at]++
		v := fraud.Verdict{Effect: fraud.Allow}
		if devices[a.device] || phones[x.phone] || bound[a.invitee] || places[at] > 5 || p.people[a.inviter].device == a.device || seen[a.request] {
			v.Effect = fraud.Reject
		}
		devices[a.device], phones[x.phone], bound[a.invitee], seen[a.request] = true, true, true, true
		judged = append(judged, outcome{a, v})
	}
	return judged
}

// tellFraud notes how well it was judged.
func (r *run) tellFraud(by string, judged []outcome, took time.Duration) {
	type tally struct{ all, stopped, rejected float64 }
	of := map[string]*tally{}
	var planted, honest tally
	for _, o := range judged {
		t := of[o.asked.who]
		if t == nil {
			t = &tally{}
			of[o.asked.who] = t
		}
		sum := &honest
		switch {
		case o.asked.who == sameDay:
			sum = &tally{}
		case slices.Contains(fraudKinds, o.asked.who):
			sum = &planted
		}
		for _, t := range []*tally{t, sum} {
			t.all++
			if o.verdict.Effect != fraud.Allow {
				t.stopped++
			}
			if o.verdict.Rejected() {
				t.rejected++
			}
		}
	}
	r.add(fraudAll, recall, by, "%", 100*planted.stopped/planted.all)
	r.add(fraudAll, precision, by, "%", 100*planted.stopped/max(1, planted.stopped+honest.stopped))
	r.add(fraudAll, rejectedRightly, by, "%", 100*planted.rejected/max(1, planted.rejected+honest.rejected))
	r.add(fraudAll, honestFree, by, "%", 100*(honest.all-honest.stopped)/honest.all)
	r.add(fraudAll, judgedRate, by, "/s", float64(len(judged))/took.Seconds())
	for _, kind := range fraudKinds {
		if t := of[kind]; t != nil {
			r.add("of each kind of fraud, stopped (recall)", kind, by, "%", 100*t.stopped/t.all)
		}
	}
	for _, who := range append(slices.Clone(honestPeople), sameDay) {
		if t := of[who]; t != nil {
			r.add("of the honest, held for a person", who, by, "%", 100*(t.stopped-t.rejected)/t.all)
			r.add("of the honest, rejected", who, by, "%", 100*t.rejected/t.all)
		}
	}
}

// tellRules notes for each kind of fraud how much of what its rules stop is fraud. Of whichever
// kind: a farm on one network that also uses throw-away mailboxes was stopped rightly by
// either.
func (r *run) tellRules(judged []outcome) {
	for i, kind := range fraudKinds {
		right, wrong := 0.0, 0.0
		for _, o := range judged {
			if o.verdict.Effect == fraud.Allow || !slices.ContainsFunc(o.verdict.Reasons, func(reason fraud.Reason) bool { return slices.Contains(rulesOf[i], reason.Rule) }) {
				continue
			}
			switch {
			case slices.Contains(fraudKinds, o.asked.who):
				right++
			case o.asked.who != sameDay:
				wrong++
			}
		}
		if right+wrong > 0 {
			r.add("of what the rules against a kind stop, fraud (precision)", kind, byRules, "%", 100*right/(right+wrong))
		}
	}
}

// rulesOf are the rules that are meant for each of fraudKinds. For patient people there
// is none.
var rulesOf = [][]fraud.Name{
	{fraud.SamePerson, fraud.SamePhone, fraud.SamePayment, fraud.SameDevice},
	{fraud.Circle},
	{fraud.BoundTwice, fraud.PhoneBound, fraud.PaymentBound},
	{fraud.InviterNetwork, fraud.InviterVelocity, fraud.NetworkVelocity},
	{fraud.DeviceVelocity},
	{fraud.Burst},
	{fraud.DisposableMail, fraud.DisposablePhone, fraud.Unverified},
	{fraud.LeftAtOnce, fraud.InviteesLeave},
	{fraud.GuessedCode, fraud.GuessingNetwork},
	{fraud.ReusedRequest, fraud.StaleRequest},
	nil,
}

package demo_test

import (
	"slices"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/demo/recount"
	"github.com/banyanhq/banyan/journey"
)

// walker takes one member through the core, as store, router and worker would.
type walker struct {
	t       *testing.T
	program *journey.Program
	n       recount.Numbers
	late    func(most time.Duration) time.Duration

	member *campaign.Member
	events []campaign.Event // by the moment of storing
	id     campaign.JourneyID
	held   bool
	state  journey.State
	sent   []time.Time
	taken  map[string]int

	reviews map[string]bool
	over    time.Time // when the journey ended
}

func (w *walker) walk() {
	next, now, entered := w.enter()
	if !entered {
		return
	}
	wait, done := w.turn(now, w.program.Turn)
	for {
		for next < len(w.events) && !w.events[next].Stored.After(now) {
			next++
		}
		moment := now
		switch heard := next < len(w.events); {
		case heard && (done || wait.IsZero() || w.events[next].Stored.Before(wait)):
			moment = w.events[next].Stored.Add(w.late(eventLag))
		case done:
			return
		case wait.IsZero():
			w.t.Fatalf("%s waits for nothing", w.id.Member)
		default:
			moment = wait.Add(w.late(timerLag))
		}
		if moment.After(now) {
			now = moment
		}
		if done {
			w.turn(now, w.program.After)
			continue
		}
		wait, done = w.turn(now, w.program.Turn)
	}
}

// enter looks for the event that starts the journey, as the router does.
func (w *walker) enter() (next int, now time.Time, entered bool) {
	for i := range w.events {
		e := &w.events[i]
		now = e.Stored.Add(w.late(routerLag))
		for _, candidate := range w.program.StartsOn(e.Type) {
			adm, why, err := w.program.Admit(candidate, journey.Entrant{
				Campaign: w.program.Definition().Name, Member: w.member, Event: e, Now: now,
				Behaviour: w.behaviour(now, w.program.EntryNeeds(candidate)),
			})
			if err != nil {
				w.t.Fatal(err)
			}
			if why != "" {
				continue
			}
			w.id, w.held, w.state = adm.ID, adm.Holdout, adm.State
			w.n["entered"]++
			if adm.Holdout {
				w.n["held out"]++
			}
			return i + 1, now.Add(w.late(firstLag)), true
		}
	}
	return 0, now, false
}

// turn takes a turn and books what it decided.
func (w *walker) turn(
	now time.Time, step func(journey.State, journey.Input) (campaign.Decision, *campaign.Ask, error),
) (wait time.Time, done bool) {
	types, needs, err := w.program.Needs(w.id.Journey)
	if err != nil {
		w.t.Fatal(err)
	}
	in := journey.Input{
		ID: w.id, Version: 1, Now: now, Member: w.member, Behaviour: w.behaviour(now, needs), Sent: w.sent, Taken: w.taken,
		Answers: map[string]campaign.Answer{}, Via: []string{"console"},
	}
	for _, e := range w.events {
		if !e.Stored.After(now) && slices.Contains(types, e.Type) && (e.Seq > w.state.Cursor || !e.Time.Before(w.state.Since)) {
			in.Events = append(in.Events, e)
		}
	}
	for {
		d, ask, err := step(w.state, in)
		if err != nil {
			w.t.Fatal(err)
		}
		if ask != nil {
			in.Answers[ask.Key] = campaign.Answer{OK: true}
			continue
		}
		if w.state, err = journey.LoadState(d.State); err != nil {
			w.t.Fatal(err)
		}
		w.book(&d)
		return d.WaitUntil, d.Done()
	}
}

func (w *walker) book(d *campaign.Decision) {
	for _, s := range d.Sends {
		w.n["sent "+s.Message]++
		if s.Kind == campaign.KindMarketing {
			w.sent = append(w.sent, s.At)
		}
	}
	for _, o := range d.Offers {
		state := string(o.State)
		if o.State == campaign.OfferOpen {
			state = "opened"
		}
		if o.State == campaign.OfferTaken {
			w.taken[o.Offer]++
		}
		w.n["offer "+o.Offer+" "+state]++
	}
	for _, r := range d.Reviews {
		if !w.reviews[r.Key] { // one review a key, however often it is found
			w.reviews[r.Key] = true
			w.n["review "+string(r.Kind)]++
		}
	}
	for _, tag := range d.Member.AddTags {
		w.n["tag "+tag]++
	}
	if d.Goal != nil {
		w.n["converted"]++
	}
	for _, line := range d.Trace {
		switch line.Kind {
		case campaign.TraceLate:
			w.n["late"]++
		case campaign.TraceGranted:
			reward, _ := w.program.Definition().Reward(line.Params["reward"])
			w.n["granted "+reward.Name]++
			w.n["points"] += int(reward.Points)
		case campaign.TraceEnded:
			w.n["outcome "+line.Params["outcome"]]++
			w.over = line.At
		case campaign.TraceFault:
			w.t.Errorf("%s: %s", w.id.Member, line.Words(campaign.English))
		default:
		}
	}
}

func (w *walker) behaviour(now time.Time, needs []campaign.Behaviour) map[campaign.Behaviour]campaign.BehaviourValue {
	values := map[campaign.Behaviour]campaign.BehaviourValue{}
	for _, b := range needs {
		var v campaign.BehaviourValue
		for _, e := range w.events {
			if e.Type == b.Event && !e.Stored.After(now) && e.Time.After(now.Add(-b.Within)) && !e.Time.After(now) {
				v.Count++
			}
		}
		values[b] = v
	}
	return values
}

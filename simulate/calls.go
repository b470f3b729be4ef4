package simulate

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// messagesOf are the messages of a decision, without its calls.
func messagesOf(d *campaign.Decision) []campaign.SendEffect {
	if !slices.ContainsFunc(d.Sends, isCall) {
		return d.Sends
	}
	return slices.DeleteFunc(slices.Clone(d.Sends), isCall)
}

func isCall(s campaign.SendEffect) bool { return s.Kind == campaign.KindCall }

// openCall finds the call of a name, or of a key, for whose answer a journey waits now.
// An answer that comes when its time is over is not stored, as the engine has it.
func (l *life) openCall(name, key string) (string, bool) {
	for _, w := range l.walks {
		if w.done() {
			continue
		}
		called, open, until, ok := w.state.OpenCall()
		if ok && (name == "" || called == name) && (key == "" || open == key) && !l.now.After(until) {
			return open, true
		}
	}
	return "", false
}

// ends makes the event that tells how a call ended.
func (f *future) ends(l *life, key string, refused bool, returned map[string]json.RawMessage) bool {
	a := campaign.CallAnswer{Call: key, Answered: !refused, Returned: returned}
	if refused {
		a.Reason = campaign.ReasonRefused
	}
	properties, err := json.Marshal(a)
	f.event = campaign.Event{ID: campaign.CallEventID(key), Type: campaign.EventCallAnswered, Time: l.now, Properties: properties}
	return err == nil
}

// answer answers, or refuses, the call of which a test tells.
func (v *verifier) answer(e *definitions.TestEvent) func(*life, *future) bool {
	return func(l *life, f *future) bool {
		key, ok := l.openCall(e.Call, "")
		if !ok {
			v.fail(e.Mark, "answer when a journey waits for it; an answer that comes too late changes nothing and is left out", "nobody waits for an answer of %s at %s", e.Call, v.when(l.now))
			return false
		}
		return f.ends(l, key, e.Refused, e.Returned)
	}
}

// serve lets luck decide how a service takes a call. A machine knows no hours of the day,
// and tells nothing late.
func (b *behaviour) serve(l *life, r *definitions.Reaction, own luck, key string) {
	own.next()
	l.queue.push(future{at: l.now.Add(own.between(r.After.From, r.After.To)), ready: func(l *life, f *future) bool {
		if _, ok := l.openCall("", key); !ok {
			return false
		}
		return f.ends(l, key, r.Service.Refused, r.Service.Returned)
	}})
}

// derivedAnswers are the chances of each of so many answers to a call; the first that comes
// counts, and nineteen calls of twenty are answered.
var derivedAnswers = [...]int{0, 950_000, 776_000, 632_000, 527_000}

// services let the services answer that the journeys call, now one thing and now another.
func (d *derivation) services() {
	for i := range d.p.def.Journeys {
		for _, s := range d.p.def.Journeys[i].Steps.Calls() {
			values := make([][]string, len(s.Returns))
			most := 1
			for k := range s.Returns {
				p := s.Returns[k].Property()
				values[k] = d.candidates(p, "", false)
				if p.Type == campaign.TypeString && len(p.OneOf) > 0 || p.Type == campaign.TypeBool || p.Type == campaign.TypeInt {
					most = max(most, min(len(values[k]), len(derivedAnswers)-1))
				}
			}
			for n := range most {
				service := &definitions.Service{Call: s.Name(), Returned: map[string]json.RawMessage{}}
				for k := range s.Returns {
					p := s.Returns[k].Property()
					service.Returned[p.Name] = d.value(p, values[k][n%len(values[k])])
				}
				d.add(definitions.Reaction{
					On: definitions.Trigger{Kind: definitions.OnCall, Name: s.Name()}, Service: service, Chance: derivedAnswers[most],
					After: definitions.Span{To: min(5*time.Second, s.For)}, Times: 1,
				})
			}
		}
	}
}

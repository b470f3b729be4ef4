package journey_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
)

const calling = `
campaign: crm
title: crm
member: {city: string}
events:
  go: {}
  a: {}
  left: {}
  bought: {}
messages:
  known: "{{ calls.crm.level }} {{ calls.crm.score }}"
journeys:
  one:
    start: {on: go}
    exit: {on: left}
    goal: {on: bought}
    steps:
      - await: a
        for: 1d
      - call:
          url: https://crm.example.com/levels
          body: '{"member": member.id, "points": member.points}'
          returns:
            level: {type: string, one_of: [bronze, gold]}
            score: int
            note: {type: string, optional: true}
          save_as: crm
          for: 1h
          timeout: 5s
        otherwise:
          - await: a
            for: 2h
          - end: no-crm
      - choose:
          - when: calls.crm.level == "gold" && calls.crm.score > 2 && !has(calls.crm.note)
            steps:
              - send: known
              - await: a
                for: 6h
              - end: gold
        otherwise:
          - end: other
`

// callKey is the key of the call that the journey's second step makes.
func callKey(w *world) string { return w.id.EffectKey(1, "2", 2, "") }

func answerEvent(key string, at time.Time, fields ...string) campaign.Event {
	returned := map[string]json.RawMessage{}
	for i := 0; i+1 < len(fields); i += 2 {
		returned[fields[i]] = json.RawMessage(fields[i+1])
	}
	properties, _ := json.Marshal(campaign.CallAnswer{Call: key, Answered: true, Returned: returned})
	return event(campaign.CallEventID(key), campaign.EventCallAnswered, at, string(properties))
}

func refusalEvent(key, reason string, at time.Time) campaign.Event {
	properties, _ := json.Marshal(campaign.CallAnswer{Call: key, Reason: reason})
	return event(campaign.CallEventID(key), campaign.EventCallAnswered, at, string(properties))
}

// called is a member whose journey has made its call an hour after noon.
func called(t *testing.T, source string) (*world, campaign.Decision) {
	t.Helper()
	w := enter(t, compile(t, source), "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`))
	w.member.Points = 7
	w.turn(noon)
	return w, w.turn(noon.Add(time.Hour))
}

func TestCall(t *testing.T) {
	t.Parallel()
	at := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		tell    func(key string) campaign.Event
		outcome string
		trace   []campaign.TraceKind
	}{
		"answered": {
			func(key string) campaign.Event {
				return answerEvent(key, at.Add(time.Second), "level", `"gold"`, "score", "3")
			},
			"gold",
			[]campaign.TraceKind{campaign.TraceCalled, campaign.TraceCallAnswered},
		},
		"answered otherwise": {
			func(key string) campaign.Event {
				return answerEvent(key, at.Add(time.Second), "level", `"bronze"`, "score", "3")
			},
			"other",
			[]campaign.TraceKind{campaign.TraceCalled, campaign.TraceCallAnswered},
		},
		"answered with what is optional": {
			func(key string) campaign.Event {
				return answerEvent(key, at.Add(time.Second), "level", `"gold"`, "score", "3", "note", `"x"`)
			},
			"other",
			[]campaign.TraceKind{campaign.TraceCalled, campaign.TraceCallAnswered},
		},
		"answered at the last moment": {
			func(key string) campaign.Event {
				return answerEvent(key, at.Add(time.Hour), "level", `"gold"`, "score", "3")
			},
			"gold",
			[]campaign.TraceKind{campaign.TraceCalled, campaign.TraceCallAnswered},
		},
		"answered too late": {
			func(key string) campaign.Event {
				return answerEvent(key, at.Add(time.Hour+time.Microsecond), "level", `"gold"`, "score", "3")
			},
			"no-crm",
			[]campaign.TraceKind{campaign.TraceCalled},
		},
		"refused": {
			func(key string) campaign.Event { return refusalEvent(key, "http_404", at.Add(time.Second)) },
			"no-crm",
			[]campaign.TraceKind{campaign.TraceCalled, campaign.TraceCallRefused},
		},
		"another call answered": {
			func(key string) campaign.Event {
				return answerEvent(key+"x", at.Add(time.Second), "level", `"gold"`, "score", "3")
			},
			"no-crm",
			[]campaign.TraceKind{campaign.TraceCalled},
		},
		"told what nobody can read": {
			func(string) campaign.Event {
				return event("broken", campaign.EventCallAnswered, at.Add(time.Second), `[]`)
			},
			"no-crm",
			[]campaign.TraceKind{campaign.TraceCalled},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, d := called(t, calling)
			if !slices.Contains(d.Listens, campaign.EventCallAnswered) || !d.WaitUntil.Equal(at.Add(time.Hour)) || !strings.Contains(d.Summary, "crm") {
				t.Fatalf("%+v", d)
			}
			w.tell(c.tell(callKey(w)))
			w.punctual(noon.Add(3 * day))
			if w.done != c.outcome {
				t.Errorf("outcome %q, want %q\n%s", w.done, c.outcome, w.story())
			}
			var got []campaign.TraceKind
			for _, l := range w.trace {
				if strings.HasPrefix(string(l.Kind), "call") {
					got = append(got, l.Kind)
				}
				if text := fmt.Sprint(l.Params); strings.Contains(text, "gold") && l.Kind != campaign.TraceChose && l.Kind != campaign.TraceStep && l.Kind != campaign.TraceEnded {
					t.Errorf("the trace shows what was answered: %+v", l)
				}
			}
			if !slices.Equal(got, c.trace) {
				t.Errorf("trace %v, want %v", got, c.trace)
			}
			if c.outcome == "gold" && w.sends[len(w.sends)-1].Bodies[0].Body != "gold 3" {
				t.Errorf("%+v", w.sends)
			}
		})
	}
}

// All that it takes to make the call is claimed, with its key and the end of its time, and
// it counts as no message.
func TestACallIsClaimed(t *testing.T) {
	t.Parallel()
	w, d := called(t, strings.Replace(calling, "messages:", "limits: {messages_per_member: {times: 1, every: 30d}}\nmessages:", 1))
	if len(d.Sends) != 1 {
		t.Fatalf("%+v", d.Sends)
	}
	s := d.Sends[0]
	if s.Key != callKey(w) || s.Kind != campaign.KindCall || s.Message != "crm" || !s.Deadline.Equal(noon.Add(2*time.Hour)) ||
		len(s.Bodies) != 1 || s.Bodies[0].Channel != campaign.ChannelCall {
		t.Errorf("%+v", s)
	}
	var request campaign.CallRequest
	if err := json.Unmarshal([]byte(s.Bodies[0].Body), &request); err != nil {
		t.Fatal(err)
	}
	if request.URL != "https://crm.example.com/levels" || request.Step != "2" || request.Timeout != 5*time.Second || request.Currency != "CNY" ||
		string(request.Body) != `{"member":"m-1","points":7}` || len(request.Returns) != 3 || !request.Returns[2].Optional {
		t.Errorf("%+v", request)
	}
	// A state that was kept goes on where it stood, and the message behind the call goes out under the cap.
	w.tell(answerEvent(callKey(w), noon.Add(time.Hour+time.Second), "level", `"gold"`, "score", "3"))
	w.turn(noon.Add(time.Hour + time.Second))
	if len(w.sends) != 2 || w.sends[1].Message != "known" {
		t.Errorf("%s", w.story())
	}
	if name, key, _, ok := w.state.OpenCall(); ok {
		t.Errorf("call %s %s is open though it was answered", name, key)
	}
}

// A call without a body sends an empty object; one that returns nothing is answered by
// nothing.
func TestACallThatReadsNothing(t *testing.T) {
	t.Parallel()
	source := strings.ReplaceAll(calling, `          body: '{"member": member.id, "points": member.points}'
          returns:
            level: {type: string, one_of: [bronze, gold]}
            score: int
            note: {type: string, optional: true}
          save_as: crm
`, "")
	source = strings.ReplaceAll(source, `calls.crm.level == "gold" && calls.crm.score > 2 && !has(calls.crm.note)`, "member.points == 7")
	source = strings.ReplaceAll(source, "{{ calls.crm.level }} {{ calls.crm.score }}", "hello")
	w, d := called(t, source)
	var request campaign.CallRequest
	if err := json.Unmarshal([]byte(d.Sends[0].Bodies[0].Body), &request); err != nil || string(request.Body) != "{}" || d.Sends[0].Message != "crm.example.com" {
		t.Errorf("%+v, %v", d.Sends, err)
	}
	w.tell(answerEvent(callKey(w), noon.Add(time.Hour+time.Second)))
	w.punctual(noon.Add(2 * day))
	if w.done != "gold" {
		t.Errorf("outcome %q\n%s", w.done, w.story())
	}
}

// What cannot be worked out is not sent; the journey goes the other way at once.
func TestACallWithoutABody(t *testing.T) {
	t.Parallel()
	w, d := called(t, strings.Replace(calling, `"points": member.points`, `"part": 10 / (member.points - 7)`, 1))
	if len(d.Sends) != 0 || w.kinds(campaign.TraceCalled) != 0 || w.kinds(campaign.TraceCallRefused) != 1 {
		t.Errorf("%+v\n%s", d.Sends, w.story())
	}
	w.punctual(noon.Add(2 * day))
	if w.done != "no-crm" {
		t.Errorf("outcome %q\n%s", w.done, w.story())
	}
}

// A journey that is left gives its call up, once; what comes behind that changes nothing.
func TestACallIsGivenUp(t *testing.T) {
	t.Parallel()
	for leaving, outcome := range map[string]string{"left": campaign.OutcomeExited, "bought": campaign.OutcomeConverted} {
		t.Run(leaving, func(t *testing.T) {
			t.Parallel()
			w, _ := called(t, calling)
			w.tell(event("e-3", leaving, noon.Add(time.Hour+time.Minute), `{}`))
			w.tell(answerEvent(callKey(w), noon.Add(time.Hour+2*time.Minute), "level", `"gold"`, "score", "3"))
			d := w.turn(noon.Add(4 * time.Hour))
			if w.done != outcome || w.kinds(campaign.TraceCallDropped) != 1 || w.kinds(campaign.TraceCallAnswered) != 0 {
				t.Errorf("outcome %q\n%s", w.done, w.story())
			}
			if len(d.GivenUp) != 1 || d.GivenUp[0] != (campaign.GivenUp{Key: callKey(w), Reason: campaign.ReasonLeft}) {
				t.Errorf("%+v", d.GivenUp)
			}
		})
	}
	// Decided and left within one turn, it is not claimed at all.
	w := enter(t, compile(t, calling), "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`),
		event("e-3", "left", noon.Add(time.Hour+time.Minute), `{}`))
	w.turn(noon)
	d := w.turn(noon.Add(time.Hour + 2*time.Minute))
	if w.done != campaign.OutcomeExited || len(d.Sends)+len(d.GivenUp) != 0 {
		t.Errorf("outcome %q, sends %v, given up %v", w.done, d.Sends, d.GivenUp)
	}
}

// Nobody is called for a held-out member. Her journey takes as long as if nobody answered.
func TestNobodyIsCalledForAHeldOutMember(t *testing.T) {
	t.Parallel()
	w := enter(t, compile(t, calling), "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`))
	w.state.Holdout = true
	w.punctual(noon.Add(4*time.Hour - time.Second))
	if w.done != "" {
		t.Fatalf("outcome %q\n%s", w.done, w.story())
	}
	w.turn(noon.Add(4 * time.Hour))
	if w.done != "no-crm" || len(w.sends) != 0 || w.kinds(campaign.TraceCallSkipped) != 1 || w.kinds(campaign.TraceCalled) != 0 {
		t.Errorf("outcome %q, sends %v\n%s", w.done, w.sends, w.story())
	}
}

// A service has its whole time, though the engine was down when it should have been called.
func TestACallBeginsNowWhenTheEngineIsLate(t *testing.T) {
	t.Parallel()
	for late, began := range map[time.Duration]time.Duration{9 * time.Minute: 0, 5 * time.Hour: 5 * time.Hour} {
		w := enter(t, compile(t, calling), "one", event("e-1", "go", noon, `{}`), event("e-2", "a", noon.Add(time.Hour), `{}`))
		w.turn(noon)
		d := w.turn(noon.Add(time.Hour + late))
		if want := noon.Add(2*time.Hour + began); !d.WaitUntil.Equal(want) || !d.Sends[0].Deadline.Equal(want) {
			t.Errorf("%s late: until %s and %s", late, d.WaitUntil, d.Sends[0].Deadline)
		}
	}
}

// In a loop each visit is a call of its own, and the answer to the one before is forgotten.
func TestACallInALoop(t *testing.T) {
	t.Parallel()
	p := compile(t, `
campaign: crm
title: crm
events: {go: {}}
journeys:
  one:
    start: {on: go}
    steps:
      - repeat:
          times: 2
          every: 1d
          steps:
            - call: {url: "https://crm.example.com", returns: {score: int}, save_as: crm, for: 1h}
            - choose:
                - when: has(calls.crm)
                  steps: [{tag: known}]
              otherwise: [{untag: known}]
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	w.turn(noon)
	first := w.sends[0].Key
	w.tell(answerEvent(first, noon.Add(time.Minute), "score", "3"))
	w.turn(noon.Add(time.Minute))
	if !slices.Contains(w.member.Tags, "known") {
		t.Fatal(w.story())
	}
	w.punctual(noon.Add(day))
	if len(w.sends) != 2 || w.sends[1].Key == first {
		t.Fatalf("%+v\n%s", w.sends, w.story())
	}
	// The answer to the first comes again, as if it were to the second.
	w.tell(answerEvent(first, noon.Add(day+time.Minute), "score", "4"))
	w.punctual(noon.Add(2 * day))
	if w.done != campaign.OutcomeCompleted || slices.Contains(w.member.Tags, "known") {
		t.Errorf("outcome %q, tags %v\n%s", w.done, w.member.Tags, w.story())
	}
}

// What comes of a call does not depend on when turns run.
func TestCallsDoNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	p := compile(t, calling)
	rapid.Check(t, func(rt *rapid.T) {
		minutes := func(name string, from, most int) time.Duration {
			return time.Duration(rapid.IntRange(from, most).Draw(rt, name)) * time.Minute
		}
		made := noon.Add(time.Hour)
		events := []campaign.Event{event("e-1", "go", noon, `{}`), event("e-2", "a", made, `{}`)}
		for i := range rapid.IntRange(0, 8).Draw(rt, "events") {
			kind := rapid.SampledFrom([]string{"a", "a", "a", "a", "left", "bought"}).Draw(rt, "type")
			e := event(fmt.Sprintf("x-%d", i), kind, made.Add(minutes("time", 1, 900)), `{}`)
			e.Stored = e.Time.Add(minutes("delay", 0, 30))
			events = append(events, e)
		}
		key := enter(t, p, "one", events...).id.EffectKey(1, "2", 2, "")
		// The turn that makes it may be nine minutes late, and before that nobody answers.
		switch after := minutes("answered", 10, 90); rapid.IntRange(0, 2).Draw(rt, "how") {
		case 0:
			events = append(events, answerEvent(key, made.Add(after), "level", `"gold"`, "score", "3"))
		case 1:
			events = append(events, refusalEvent(key, "http_410", made.Add(after)))
		}
		end := noon.Add(3 * day)
		want := enter(t, p, "one", events...).punctual(end)

		w := enter(t, p, "one", events...)
		w.turn(noon)
		for now := made.Add(minutes("late", 0, 9)); now.Before(end); now = now.Add(minutes("gap", 1, 400)) {
			w.turn(now)
		}
		w.turn(end)
		if w.done == "" {
			rt.Fatalf("the journey did not end\n%s", w.story())
		}
		if got := w.verdict(); got != want.verdict() {
			rt.Fatalf("got:\n%s\n\nwant:\n%s\n\nstory:\n%s\npunctual story:\n%s", got, want.verdict(), w.story(), want.story())
		}
	})
}

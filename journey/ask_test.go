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
	"github.com/banyanhq/banyan/journey"
)

const asking = `
campaign: coach
title: coach
events:
  go: {}
  left: {}
  a: {}
  bought: {}
messages:
  goal: What do you want?
  goal-again: Please answer 1 or 2
  thanks: "{{ answers.goal }} {{ answers.times }}"
journeys:
  one:
    start: {on: go}
    exit: {on: left}
    goal: {on: bought, when: answers.goal == "lose"}
    steps:
      - ask:
          message: goal
          again: goal-again
          answers:
            goal: {one_of: {lose: [减肥, "1"], muscle: [增肌, "2"]}}
            times: {type: int, min: 3, max: 14}
          for: 6h
          grace: 1h
        otherwise:
          - await: a
            for: 2h
            otherwise:
              - end: silent
          - end: back
      - send: thanks
      - choose:
          - when: answers.goal == "lose"
            steps:
              - wait: 1h
              - end: slimmer
          - when: has(answers.times) && answers.times > 5
            steps:
              - end: often
        otherwise:
          - end: other
`

func reply(id, text string, at time.Time) campaign.Event {
	properties, _ := json.Marshal(campaign.Reply{Text: text})
	return event(id, campaign.EventReply, at, string(properties))
}

// names lists the messages and reasons of what was not sent.
func (w *world) notSent() (out []string) {
	for _, l := range w.trace {
		if l.Kind == campaign.TraceNotSent {
			out = append(out, l.Params["message"]+" "+l.Params["reason"])
		}
	}
	return out
}

func TestAsk(t *testing.T) {
	t.Parallel()
	p := compile(t, asking)
	for name, c := range map[string]struct {
		replies  []string // one every ten minutes
		outcome  string
		messages string
		last     string // the body of the last message
		unfit    int
	}{
		"a choice":                       {[]string{"1"}, "slimmer", "goal thanks", "lose 0", 0},
		"another word for it":            {[]string{"减肥！"}, "slimmer", "goal thanks", "lose 0", 0},
		"a number":                       {[]string{" ７ "}, "often", "goal thanks", " 7", 0},
		"a number that is also a choice": {[]string{"2"}, "other", "goal thanks", "muscle 0", 0},
		"nothing":                        {nil, "silent", "goal", "What do you want?", 0},
		"nothing that fits":              {[]string{"what?", "no", "15"}, "silent", "goal goal-again", "Please answer 1 or 2", 3},
		"at the second try":              {[]string{"what?", "lose"}, "slimmer", "goal goal-again thanks", "lose 0", 1},
		"the first that fits":            {[]string{"4", "lose"}, "other", "goal thanks", " 4", 0},
		"blanks":                         {[]string{"  "}, "silent", "goal", "What do you want?", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := []campaign.Event{event("e-1", "go", noon, `{}`)}
			for i, text := range c.replies {
				events = append(events, reply(fmt.Sprintf("r-%d", i), text, noon.Add(time.Duration(i+1)*10*time.Minute)))
			}
			w := enter(t, p, "one", events...)
			w.punctual(noon.Add(2 * day))
			if w.done != c.outcome || w.messages() != c.messages || w.kinds(campaign.TraceNotUnderstood) != c.unfit {
				t.Errorf("outcome %q, messages %q\n%s", w.done, w.messages(), w.story())
			}
			if got := w.sends[len(w.sends)-1].Bodies[0].Body; got != c.last {
				t.Errorf("the last message says %q, want %q", got, c.last)
			}
		})
	}
}

// What she wrote is in the event and, as an answer, in the state; no trace line, summary
// or step name holds it, unless it is one of the campaign's own words or a number.
func TestWhatSheWroteStaysOutOfTheTrace(t *testing.T) {
	t.Parallel()
	p := compile(t, `
campaign: coach
title: coach
events:
  go: {}
  bought: {}
messages:
  why: Why?
journeys:
  one:
    start: {on: go}
    goal: {on: bought}
    steps:
      - ask: {message: why, answers: {reason: {type: string, max_length: 20}}, for: 6h}
      - wait: 1h
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`),
		reply("r-1", "a secret that is far too long for an answer", noon.Add(time.Minute)), reply("r-2", "my secret", noon.Add(2*time.Minute)))
	w.punctual(noon.Add(30 * time.Minute))
	if string(w.state.Answers["reason"]) != `"my secret"` {
		t.Errorf("answers %s\n%s", w.state.Answers, w.story())
	}
	for _, l := range w.trace {
		if data, _ := json.Marshal(l); strings.Contains(string(data), "secret") {
			t.Errorf("%s", data)
		}
	}
	d := w.turn(noon.Add(31 * time.Minute))
	if strings.Contains(d.Summary+d.StepName, "secret") {
		t.Error(d.Summary)
	}
}

// A reply counts by its own time and grace like every event; a late one is told of.
func TestTheTimeOfAReply(t *testing.T) {
	t.Parallel()
	p := compile(t, asking)
	const hour = time.Hour
	for _, c := range []struct {
		time, stored time.Duration
		outcome      string
		late         int
	}{
		{6 * hour, 6 * hour, "slimmer", 0},
		{6 * hour, 7 * hour, "slimmer", 0},
		{6 * hour, 7*hour + time.Second, "silent", 1},
		{6*hour + time.Second, 6*hour + time.Second, "silent", 0},
		{-time.Second, hour, "silent", 0},
	} {
		r := reply("r-1", "lose", noon.Add(c.time))
		r.Stored = noon.Add(c.stored)
		w := enter(t, p, "one", event("e-1", "go", noon, `{}`), r)
		w.punctual(noon.Add(2 * day))
		if w.done != c.outcome || w.kinds(campaign.TraceLate) != c.late {
			t.Errorf("%s stored %s: outcome %q, %d late\n%s", c.time, c.stored, w.done, w.kinds(campaign.TraceLate), w.story())
		}
	}
}

// A reply that names its question counts for that one alone; the key is that of the
// question's message or of its repetition.
func TestAReplyToAQuestion(t *testing.T) {
	t.Parallel()
	p := compile(t, asking)
	named := func(id, text, question string, at time.Time) campaign.Event {
		properties, _ := json.Marshal(campaign.Reply{Text: text, Question: question})
		return event(id, campaign.EventReply, at, string(properties))
	}
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`))
	w.turn(noon)
	w.tell(named("r-1", "lose", "another", noon.Add(time.Minute)))
	w.tell(named("r-2", "what?", w.sends[0].Key, noon.Add(2*time.Minute)))
	w.turn(noon.Add(3 * time.Minute))
	if len(w.sends) != 2 || w.kinds(campaign.TraceAnswered) != 0 || w.sends[0].Key == w.sends[1].Key {
		t.Fatalf("%+v\n%s", w.sends, w.story())
	}
	w.tell(named("r-3", "lose", w.sends[1].Key, noon.Add(4*time.Minute)))
	w.turn(noon.Add(5 * time.Minute))
	if w.kinds(campaign.TraceAnswered) != 1 {
		t.Error(w.story())
	}
}

// In every round of a loop the question is a new one, and the old answer is forgotten.
func TestAQuestionIsAskedAgainInALoop(t *testing.T) {
	t.Parallel()
	p := compile(t, `
campaign: coach
title: coach
events:
  go: {}
messages:
  size: Which size?
journeys:
  one:
    start: {on: go}
    exit: {on: go, when: "false"}
    steps:
      - ask: {message: size, answers: {size: {one_of: [s, m, l]}, unsure: {one_of: [maybe]}}, for: 6h, repeat: 0}
        label: again
      - choose:
          - when: answers.size == "m" && !has(answers.unsure)
            steps:
              - end: medium
        otherwise:
          - goto: again
`)
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), reply("r-1", "s", noon.Add(time.Minute)),
		reply("r-2", "maybe", noon.Add(2*time.Minute)), reply("r-3", "M", noon.Add(3*time.Minute)))
	w.punctual(noon.Add(day))
	if w.done != "medium" || w.messages() != "size size size" {
		t.Errorf("outcome %q, messages %q\n%s", w.done, w.messages(), w.story())
	}
	keys := map[string]bool{}
	for _, s := range w.sends {
		keys[s.Key] = true
	}
	if len(keys) != 3 {
		t.Errorf("keys %v", keys)
	}
}

// The wait for the reply begins when a question that quiet hours hold back goes out.
func TestAQuestionInQuietHours(t *testing.T) {
	t.Parallel()
	p := compile(t, strings.Replace(asking, "journeys:", "limits:\n  quiet_hours: {from: \"11:00\", until: \"20:00\"}\njourneys:", 1))
	// Before the question is out nothing is a reply to it.
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), reply("r-0", "lose", noon.Add(time.Hour)))
	d := w.turn(noon)
	if len(d.Sends) != 0 || slices.Contains(d.Listens, campaign.EventReply) || !strings.Contains(d.Summary, "question") {
		t.Errorf("%+v", d)
	}
	w.punctual(noon.Add(13 * time.Hour)) // 20:00 and five hours
	if len(w.sends) != 1 || w.done != "" || !slices.Contains(w.listens, campaign.EventReply) {
		t.Fatalf("sends %d, outcome %q\n%s", len(w.sends), w.done, w.story())
	}
	w.tell(reply("r-1", "lose", noon.Add(13*time.Hour+30*time.Minute)))
	w.turn(noon.Add(14*time.Hour + 20*time.Minute))
	if w.kinds(campaign.TraceAnswered) != 1 {
		t.Errorf("outcome %q\n%s", w.done, w.story())
	}
}

// A repetition that quiet hours hold back is not sent once the question is answered.
func TestARepetitionThatIsNotNeeded(t *testing.T) {
	t.Parallel()
	p := compile(t, strings.Replace(asking, "journeys:", "limits:\n  quiet_hours: {from: \"12:05\", until: \"20:00\"}\njourneys:", 1))
	w := enter(t, p, "one", event("e-1", "go", noon, `{}`), reply("r-1", "what?", noon.Add(10*time.Minute)), reply("r-2", "4", noon.Add(20*time.Minute)))
	w.punctual(noon.Add(day))
	if w.messages() != "goal thanks" || !slices.Equal(w.notSent(), []string{"goal-again " + campaign.ReasonAnswered}) {
		t.Errorf("messages %q, not sent %v\n%s", w.messages(), w.notSent(), w.story())
	}
	// A turn that finds the question answered already sends neither it nor its repetition.
	w = enter(t, compile(t, asking), "one", event("e-1", "go", noon, `{}`), reply("r-1", "what?", noon.Add(time.Minute)), reply("r-2", "4", noon.Add(2*time.Minute)))
	w.turn(noon.Add(5 * time.Minute))
	if w.messages() != "thanks" || w.kinds(campaign.TraceAnswered) != 1 {
		t.Errorf("messages %q\n%s", w.messages(), w.story())
	}
}

// A question that goes out to nobody waits as if nobody answered, also in a loop.
func TestAQuestionThatIsNotPut(t *testing.T) {
	t.Parallel()
	const loop = `
campaign: coach
title: coach
events:
  go: {}
messages:
  size: {text: "Which size?", when_capped: drop}
limits:
  messages_per_member: 1
journeys:
  one:
    start: {on: go}
    exit: {on: go, when: "false"}
    steps:
      - ask: {message: size, answers: {size: string}, for: 6h}
        label: again
        otherwise:
          - goto: again
`
	for name, holdout := range map[string]bool{"capped": false, "held out": true} {
		w := enter(t, compile(t, loop), "one", event("e-1", "go", noon, `{}`), reply("r-1", "m", noon.Add(20*time.Hour)))
		w.state.Holdout = holdout
		w.punctual(noon.Add(25 * time.Hour))
		sends := 1
		if holdout {
			sends = 0
		}
		if len(w.sends) != sends || w.done != "" || w.kinds(campaign.TraceTimedOut) != 4 || w.kinds(campaign.TraceAnswered) != 0 {
			t.Errorf("%s: %d sends, outcome %q\n%s", name, len(w.sends), w.done, w.story())
		}
	}
}

// A state that was written before there were questions is read as it was.
func TestAStateWithoutQuestions(t *testing.T) {
	t.Parallel()
	s, err := journey.LoadState([]byte(`{"v":1,"step":"1","entered":"2026-12-01T04:00:00Z","since":"2026-12-01T04:00:00Z","cursor":1}`))
	if err != nil || s.Asked != nil || s.Review != nil || s.Answers != nil {
		t.Errorf("%+v, %v", s, err)
	}
	data, err := s.Save()
	if err != nil || strings.Contains(string(data), "asked") || strings.Contains(string(data), "answers") || strings.Contains(string(data), "review") {
		t.Errorf("%s, %v", data, err)
	}
}

// What comes of a question does not depend on when turns run.
func TestQuestionsDoNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	p := compile(t, asking)
	rapid.Check(t, func(rt *rapid.T) {
		minutes := func(name string, from, most int) time.Duration {
			return time.Duration(rapid.IntRange(from, most).Draw(rt, name)) * time.Minute
		}
		events := []campaign.Event{event("e-1", "go", noon, `{}`)}
		for i := range rapid.IntRange(0, 8).Draw(rt, "events") {
			id, at := fmt.Sprintf("x-%d", i), noon.Add(minutes("time", 0, 9*60))
			e := event(id, rapid.SampledFrom([]string{"left", "bought", "a", "a", "a", "a"}).Draw(rt, "type"), at, `{}`)
			if rapid.IntRange(0, 2).Draw(rt, "reply") == 0 {
				e = reply(id, rapid.SampledFrom([]string{"1", "2", "7", "3", "what?", ""}).Draw(rt, "text"), at)
			}
			e.Stored = e.Time.Add(minutes("delay", 0, 90))
			events = append(events, e)
		}
		end := noon.Add(2 * day)
		want := enter(t, p, "one", events...).punctual(end)

		w := enter(t, p, "one", events...)
		for now := noon.Add(minutes("late", 0, 9)); now.Before(end); now = now.Add(minutes("gap", 1, 400)) {
			w.turn(now)
		}
		w.turn(end)
		if w.done == "" {
			rt.Fatalf("the journey did not end\n%s", w.story())
		}
		got, wanted := w.verdict(), want.verdict()
		got, wanted = got+fmt.Sprintf("%s", w.state.Answers), wanted+fmt.Sprintf("%s", want.state.Answers)
		if got != wanted {
			rt.Fatalf("got:\n%s\n\nwant:\n%s\n\nstory:\n%s\npunctual story:\n%s", got, wanted, w.story(), want.story())
		}
	})
}

package journey_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// program writes random steps.
type program struct {
	rt     *rapid.T
	splits int
}

func (g *program) steps(depth int, indent string) string {
	var b strings.Builder
	for range rapid.IntRange(1, 3).Draw(g.rt, "steps") {
		b.WriteString(g.step(depth, indent))
	}
	return b.String()
}

func (g *program) pick(name string, of ...string) string {
	return rapid.SampledFrom(of).Draw(g.rt, name)
}

func (g *program) step(depth int, indent string) string {
	kinds := []string{"wait", "until", "until", "await", "tag", "moment", "leave"}
	if depth > 0 {
		kinds = append(kinds, "repeat", "repeat", "repeat", "split", "choose")
	}
	in := indent + "    "
	switch kind := g.pick("kind", kinds...); kind {
	case "wait":
		return indent + "- wait: " + g.pick("span", "1m", "90m", "7h", "1d12h", "3d") + "\n"
	case "until":
		return indent + "- wait: {until: \"" + g.pick("until", "02:30", "09:00", "next day 03:00", "sunday 02:15", "next friday 18:00",
			"day 28 of the month 02:45", "2027-03-28 02:30", "2027-04-02 12:00", "15,45 2 * * *", "*/50 * * * 0") + "\"}\n"
	case "moment":
		return indent + "- wait: {until: '" + g.pick("moment", "start.at", `start.at + duration("26h")`, `now + duration("50m")`, "event.time + duration(\"3h\")") + "'}\n"
	case "await":
		return indent + "- await: " + g.pick("event", "a", "b", "[a, b]") + "\n" + indent + "  for: " + g.pick("for", "10m", "5h", "2d") + "\n" +
			g.pick("grace", "", indent+"  grace: 30m\n")
	case "tag":
		return indent + "- tag: " + g.pick("tag", "x", "y") + "\n"
	case "leave": // out of every repeat
		return indent + "- choose: [{when: " + g.pick("when", `'"x" in member.tags'`, `event.type == "b"`) + ", steps: [{goto: out}]}]\n"
	case "choose":
		return indent + "- choose:\n" + indent + "    - when: " + g.pick("when", `'"x" in member.tags'`, `event.type == "a"`) + "\n" +
			indent + "      steps:\n" + g.steps(depth-1, in+"    ") + indent + "  otherwise:\n" + g.steps(depth-1, in)
	case "split":
		g.splits++
		return indent + fmt.Sprintf("- split:\n%sname: s%d\n%sarms:\n%s  A:\n%s    share: 50%%\n%s    steps:\n", in, g.splits, in, in, in, in) +
			g.steps(depth-1, in+"      ") + in + "  B: {share: 50%}\n"
	default:
		return indent + "- repeat:\n" + in + "times: " + g.pick("times", "1", "2", "5") + "\n" +
			in + g.pick("every", "every: 20m", "every: 9h", "every: 1d") + "\n" +
			in + g.pick("exit", `until: '"y" in member.tags'`, `until: event.type == "b"`, "until: \"false\"") + "\n" +
			in + "steps:\n" + g.steps(depth-1, in)
	}
}

// randomSteps is a campaign with a journey of random steps, which begins at the event go.
func randomSteps(rt *rapid.T) string {
	g := &program{rt: rt}
	return `
campaign: programs
title: programs
timezone: Europe/Berlin
events: {go: {at: time}, a: {}, b: {}}
journeys:
  j:
    start: {on: go}
    exit: {on: b, when: 'event.id == "exit"'}
    steps:
` + g.steps(3, "      ") + "      - {tag: z, label: out}\n      - wait: 1h\n"
}

// Random programs of the steps that keep time, over the night in which clocks change:
// whatever the order of events, timers and turns, the outcome is that of a worker which
// is always on time.
func TestWhatStepsKeepDoesNotDependOnWhenTurnsRun(t *testing.T) {
	t.Parallel()
	// Conditions read only what the journey itself has done and what moved it: what reads
	// the past may rightly see more in a later turn.
	begin := time.Date(2027, 3, 26, 11, 0, 0, 0, time.UTC)
	seen := map[campaign.TraceKind]int{}
	rapid.Check(t, func(rt *rapid.T) {
		source := randomSteps(rt)
		if def, problems := definitions.Check("programs.yaml", []byte(source)); def == nil {
			rt.Fatalf("refused:\n%s\n%s", problems.Text(false), source)
		}
		p := compile(t, source)
		minutes := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(rt, name)) * time.Minute
		}
		start := event("e-1", "go", begin, fmt.Sprintf(`{"at":%q}`, begin.Add(minutes("at", 6*24*60)).Format(time.RFC3339)))
		events := []campaign.Event{start}
		for i := range rapid.IntRange(0, 8).Draw(rt, "events") {
			e := event(fmt.Sprintf("e%d", i), rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "type"), begin.Add(minutes("time", 12*24*60)), `{}`)
			e.Stored = e.Time.Add(minutes("delay", 90))
			events = append(events, e)
		}
		if rapid.IntRange(0, 5).Draw(rt, "exits") == 0 {
			events = append(events, event("exit", "b", begin.Add(minutes("exit", 9*24*60)), `{}`))
		}
		end := begin.Add(400 * day)
		want := enter(t, p, "j", events...).punctual(end)
		for _, l := range want.trace {
			seen[l.Kind]++
		}

		w := enter(t, p, "j", events...)
		for now := begin.Add(minutes("first", 600)); now.Before(begin.Add(15 * day)); now = now.Add(time.Minute + minutes("gap", 1200)) {
			w.turn(now)
			if rapid.Bool().Draw(rt, "again") {
				w.turn(now) // a doubled poke changes nothing
			}
		}
		for now := begin.Add(15 * day); now.Before(end) && w.done == ""; now = now.Add(11 * day) {
			w.turn(now)
		}
		for w.turn(end); w.done == "" && !w.due.IsZero() && !w.due.After(end); {
			w.turn(end) // a turn does not do any amount of work
		}
		if got := w.verdict(); got != want.verdict() {
			rt.Fatalf("%s\ngot:\n%s\n\nwant:\n%s\n\nstory:\n%s\npunctual story:\n%s", source, got, want.verdict(), w.story(), want.story())
		}
	})
	if testing.Short() {
		return // too few programs to lead everywhere
	}
	for _, kind := range []campaign.TraceKind{
		campaign.TraceRound, campaign.TraceRoundsOver, campaign.TraceExposed, campaign.TracePassed, campaign.TraceHappened, campaign.TraceTimedOut,
	} {
		if seen[kind] == 0 && !t.Failed() {
			t.Errorf("no program led to %s", kind)
		}
	}
}

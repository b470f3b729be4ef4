package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// club asks a coach, whose backup is the owner, and then the owner alone.
const club = `
campaign: club
title: A club
events:
  came: {}
  left: {}
roles:
  coach: {title: Coach, backup: owner}
  owner: {title: Owner}
messages: {hello: hello}
journeys:
  main:
    start: {on: came}
    goal: {on: left}
    steps:
      - review: {by: coach, for: 24h, otherwise: reject}
        label: door
        approved:
          - tag: in
        rejected:
          - end: out
      - review: {by: owner, for: 12h, otherwise: approve}
        approved:
          - end: member
        rejected:
          - end: refused
`

// decided is how often each outcome is come to, and the trace's lines about reviews, with
// how long after the opening each was written.
func decisions(t *testing.T, population string, members int) (outcomes map[string]int, courses []*Course) {
	t.Helper()
	p := planFrom(t, club)
	pop := populationFrom(t, p, population)
	people := Made(p, pop, members, 7, first, 60*day)
	outcomes = map[string]int{}
	for i := range people.Count() {
		rec := &recorder{offers: map[string]int{}, reached: map[campaign.JourneyID]string{}}
		w := &decided{recorder: rec}
		l := &life{p: p, from: first, keeper: &counter{}, watch: w}
		people.begin(i, l)
		w.people = people.behaves(i, l)
		if err := l.run(first.Add(60 * day)); err != nil {
			t.Fatal(err)
		}
		outcomes[l.walks[0].outcome]++
		courses = append(courses, &Course{Trace: rec.trace, Reviews: rec.reviews})
	}
	return outcomes, courses
}

// decided lets a member react, and records what becomes of her.
type decided struct {
	*recorder
	people *behaviour
}

func (d *decided) arrived(l *life)                     { d.people.arrived(l) }
func (d *decided) happened(l *life, e *campaign.Event) { d.people.heard(l, e) }
func (d *decided) decided(l *life, w *walk, dec *campaign.Decision) {
	d.recorder.decided(l, w, dec)
	d.people.decided(l, w, dec)
}

// Reviews are decided as a population declares: by role and by step, approved, rejected or
// left alone, after a delay at the hours at which people work; the backup is asked when the
// time of the role is over.
func TestReviewsAreDecidedAsDeclared(t *testing.T) {
	t.Parallel()
	const members = 2000
	const head = "population: x\narrive: {over: 10d}\nbehaviour: [{on: arrive, do: came}]\n"
	near := func(what string, got, of int, want float64) {
		t.Helper()
		if share := float64(got) / float64(of); share < want-0.04 || share > want+0.04 {
			t.Errorf("%s: %.3f of %d, want %.2f", what, share, of, want)
		}
	}
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		outcomes, _ := decisions(t, head, 200)
		if outcomes["out"] != 200 {
			t.Errorf("without deciders: %v", outcomes)
		}
	})
	t.Run("role and backup", func(t *testing.T) {
		t.Parallel()
		outcomes, courses := decisions(t, head+`reviews:
  - {by: coach, approve: 50%, reject: 10%, after: 1h-6h}
  - {by: owner, step: main/door, approve: 100%, after: 2h}
  - {by: owner, reject: 25%, after: 1h}
`, members)
		// The coach decides 60 of 100, the backup approves the others; of those in, the owner
		// refuses a quarter.
		near("rejected at the door", outcomes["out"], members, 0.10)
		near("refused by the owner", outcomes["refused"], members, 0.90*0.25)
		near("members", outcomes["member"], members, 0.90*0.75)
		backups := 0
		for _, c := range courses {
			opened := time.Time{}
			for _, line := range c.Trace {
				switch line.Kind { //nolint:exhaustive // the others say nothing of reviews
				case campaign.TraceReviewOpened:
					opened = line.At
				case campaign.TraceReviewDecided:
					after, by := line.At.Sub(opened), line.Params["by"]
					switch {
					case by == "owner" && line.Step == "1":
						backups++
						if after != 26*time.Hour {
							t.Fatalf("the backup decided after %s, want two hours after the 24 of the coach", after)
						}
					case by == "owner" && after != time.Hour, by == "coach" && (after < time.Hour || after > 6*time.Hour):
						t.Fatalf("%s decided after %s", by, after)
					}
				}
			}
		}
		near("decided by the backup", backups, members, 0.40)
	})
	t.Run("too slow", func(t *testing.T) {
		t.Parallel()
		outcomes, _ := decisions(t, head+"reviews:\n  - {approve: 100%, after: 25h}\n", 100)
		if outcomes["out"] != 100 {
			t.Errorf("decisions that take longer than the time count: %v", outcomes)
		}
	})
	t.Run("hours", func(t *testing.T) {
		t.Parallel()
		_, courses := decisions(t, strings.Replace(head, "behaviour", "hours: {0-18: 0}\nbehaviour", 1)+
			"reviews:\n  - {step: main/door, approve: 100%, after: 1m-20h, hours: {0-9: 0, 9-18: 1, 18-24: 0}}\n  - {approve: 100%, after: 1m-10h}\n", 300)
		office, evening := 0, 0
		for _, c := range courses {
			for _, line := range c.Trace {
				if line.Kind != campaign.TraceReviewDecided {
					continue
				}
				hour := line.At.In(first.Location()).Hour()
				switch {
				case line.Step == "1" && hour >= 9 && hour < 18:
					office++
				case line.Step == "2" && hour >= 18:
					evening++
				default:
					t.Fatalf("step %s was decided at %s", line.Step, line.At)
				}
			}
		}
		if office < 250 || evening < 20 {
			t.Errorf("%d were decided in the office, %d in the evening", office, evening)
		}
	})
	t.Run("at once, again and again", func(t *testing.T) {
		t.Parallel()
		p := planFrom(t, strings.Replace(club, "- end: out", "- goto: door", 1))
		pop := populationFrom(t, p, strings.Replace(head, "10d", "1h", 1)+"reviews:\n  - {reject: 100%}\n")
		rehearse(t, Config{Plan: p, From: first, Span: 2 * time.Hour, People: Made(p, pop, 3, 1, first, time.Hour)})
	})
}

// The report says how many reviews were decided, the same for the same seed on one core or
// two, and what is said of reviews takes no luck from what members do.
func TestReviewsInReport(t *testing.T) {
	t.Parallel()
	p := planFrom(t, club)
	text := func(population string, workers int) string {
		pop := populationFrom(t, p, population)
		r := rehearse(t, Config{Plan: p, From: first, Span: 20 * day, Workers: workers, People: Made(p, pop, 500, 3, first, 20*day)})
		var b strings.Builder
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	const deciders = "population: x\narrive: {over: 10d}\nlate: {share: 10%, by: 1h}\nhours: {0-7: 0}\nbehaviour: [{on: arrive, do: came}]\n" +
		"reviews: [{by: coach, approve: 70%, reject: 20%, after: 1h-20h}]\n"
	one := text(deciders, 1)
	if two := text(deciders, 2); one != two {
		t.Errorf("on two cores it differs:\n%s\n%s", one, two)
	}
	golden(t, "reviews.golden", one)
}

// A population that was written down decides as the one that it was written from.
func TestDecidersAreWrittenDown(t *testing.T) {
	t.Parallel()
	p := planFrom(t, club)
	pop := populationFrom(t, p, "population: x\nbehaviour: [{on: arrive, do: came}]\nreviews:\n"+
		"  - {by: coach, step: main/door, approve: 12.5%, reject: 3%, after: 1h-2d, hours: {9-18: 4, 18-24: 0}}\n  - {approve: 100%}\n")
	text := YAML(pop)
	if back := populationFrom(t, p, text); jsonOf(t, pop) != jsonOf(t, back) {
		t.Errorf("it changes on its way through a file:\n%s\n%s\n%s", text, jsonOf(t, pop), jsonOf(t, back))
	}
	if derived := YAML(Derive(p, first)); !strings.Contains(derived, "step: main/1, approve: 60%, reject: 20%, after: 1h-24h") {
		t.Errorf("derived:\n%s", derived)
	}
}

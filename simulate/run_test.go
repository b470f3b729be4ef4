package simulate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/demo"
	"github.com/banyanhq/banyan/demo/recount"
)

// The model campaign over the demo's members and events comes to the numbers that an
// independent count makes of the same files.
func TestPastAgreesWithRecount(t *testing.T) {
	t.Parallel()
	p := planFrom(t, shipped(t))
	// The demo's file has blanks between tags, where an import has semicolons.
	var csv bytes.Buffer
	for line := range strings.Lines(string(demo.Members())) {
		cells := strings.Split(line, ",")
		cells[4] = strings.ReplaceAll(cells[4], " ", ";")
		csv.WriteString(strings.Join(cells, ","))
	}
	members, err := p.ReadMembers("members.csv", &csv, demo.From)
	if err != nil {
		t.Fatal(err)
	}
	events, err := p.ReadEvents("events.ndjson", bytes.NewReader(demo.Events()))
	if err != nil {
		t.Fatal(err)
	}
	past := PastOf(p, members, events, demo.From)
	r := rehearse(t, Config{Plan: p, People: past, From: demo.From, Span: 60 * day})
	want, err := recount.Count(bytes.NewReader(demo.Members()), bytes.NewReader(demo.Events()))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	set := func(name string, n int64) {
		if n != 0 {
			got[name] = int(n)
		}
	}
	for _, m := range r.Messages {
		set("sent "+m.Message, m.Sent)
	}
	for _, o := range r.Offers {
		set("offer "+o.Offer+" opened", o.Opened)
		set("offer "+o.Offer+" taken", o.Taken)
		set("offer "+o.Offer+" lapsed", o.Lapsed)
		set("offer "+o.Offer+" withdrawn", o.Withdrawn)
	}
	for _, c := range r.Reviews {
		set("review "+c.Name, c.Count)
	}
	compared := 0
	for name, n := range want {
		kind, _, _ := strings.Cut(name, " ")
		if kind != "sent" && kind != "offer" && kind != "review" {
			continue
		}
		compared++
		if got[name] != n {
			t.Errorf("%s: %d, counted again %d", name, got[name], n)
		}
		delete(got, name)
	}
	for name, n := range got {
		t.Errorf("%s: %d, counted again 0", name, n)
	}
	if entered := r.Journeys[0].Entered + r.Journeys[0].Holdout.Entered; int(entered) != want["entered"] {
		t.Errorf("%d entered, counted again %d", entered, want["entered"])
	}
	if compared < 15 {
		t.Errorf("only %d numbers were compared", compared)
	}
	if past.Again == 0 {
		t.Error("the file tells nothing twice, so this shows nothing about it")
	}
}

// Every campaign in testdata/campaigns holds tests of its own, which say what the engine
// does: entry rules, segments, sweeps, caps, quiet hours, loops.
func TestCampaigns(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/campaigns/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no campaigns: %v", err)
	}
	for _, name := range definitions.ShippedNames() {
		files = append(files, "../definitions/"+name+definitions.CampaignSuffix)
	}
	for _, file := range files {
		if strings.HasSuffix(file, ".test.yaml") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			def, tests, problems := definitions.Tests(file, source)
			if def == nil {
				t.Fatalf("\n%s", problems.Text(false))
			}
			beside := strings.TrimSuffix(file, ".yaml") + ".test.yaml"
			if more, err := os.ReadFile(beside); err == nil {
				list, problems := definitions.TestsBeside(beside, more, def)
				if len(problems) > 0 {
					t.Fatalf("\n%s", problems.Text(false))
				}
				tests = append(tests, list...)
			}
			p, err := NewPlan(def)
			if err != nil {
				t.Fatal(err)
			}
			for i := range tests {
				v, err := Verify(p, &tests[i])
				if err != nil {
					t.Fatal(err)
				}
				if !v.OK {
					t.Errorf("\n%s", v.Failures.Text(false))
				}
			}
			if len(tests) < 2 {
				t.Errorf("only %d tests", len(tests))
			}
		})
	}
}

// What a failing test says, place by place.
func TestFailuresRead(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/failing.yaml")
	if err != nil {
		t.Fatal(err)
	}
	def, tests, problems := definitions.Tests("failing.yaml", source)
	if def == nil {
		t.Fatalf("\n%s", problems.Text(false))
	}
	p, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i := range tests {
		v, err := Verify(p, &tests[i])
		if err != nil {
			t.Fatal(err)
		}
		if v.OK {
			t.Errorf("test %q passes", v.Name)
		}
		out.WriteString(v.Failures.Text(false))
	}
	golden(t, "failing.golden", out.String())
}

// The reports that people read.
func TestReportsRead(t *testing.T) {
	t.Parallel()
	p := planFrom(t, shop)
	pop := populationFrom(t, p, shopPopulation)
	cfg := Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, 300, 1, first, 30*day)}
	r := rehearse(t, cfg)
	var text, csv strings.Builder
	if err := errors.Join(r.Text(&text), r.CSV(&csv)); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.golden", text.String())
	golden(t, "report.csv", csv.String())

	other := planFrom(t, strings.Replace(shop, "stock: 40", "stock: 10", 1))
	against := rehearse(t, Config{Plan: other, From: first, Span: 30 * day, People: Made(other, pop, 300, 1, first, 30*day)})
	c := Compare(r, against, [2]string{"shop.yaml", "less.yaml"})
	text.Reset()
	if err := c.Text(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "comparison.golden", text.String())
}

// A page needs nothing else, runs nothing, and shows texts as texts.
func TestPageStandsAlone(t *testing.T) {
	t.Parallel()
	p := planFrom(t, strings.Replace(shop, "title: Stock and budgets", `title: "<script>alert('x')</script> & 中文"`, 1))
	pop := populationFrom(t, p, shopPopulation)
	r := rehearse(t, Config{Plan: p, From: first, Span: 30 * day, People: Made(p, pop, 300, 1, first, 30*day)})
	var b strings.Builder
	if err := Compare(r, r, [2]string{"a<b>.yaml", "b.yaml"}).HTML(&b); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, bad := range []string{"<script", "http:", "https:", "src=", "<link", "a<b>", "NaN", "Inf"} {
		if strings.Contains(got, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, want := range []string{"&lt;script&gt;", "中文", "<svg", "runs out on day", "A − B", "offer lamp"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// Over the same version nothing differs, and what one version does to a member takes no
// luck from what another does.
func TestAgainstHasTheSameLuck(t *testing.T) {
	t.Parallel()
	p := planFrom(t, shipped(t))
	pop := Derive(p, first)
	report := func(p *Plan) *Report {
		return rehearse(t, Config{Plan: p, From: first, Span: 40 * day, People: Made(p, pop, 500, 3, first, 40*day)})
	}
	one := report(p)
	for _, d := range Compare(one, report(planFrom(t, shipped(t))), [2]string{}).Differences {
		if d.This != d.Against {
			t.Errorf("%s, %s: %v and %v", d.Section, d.Name, d.This, d.Against)
		}
	}
	// Without the first message everything behind it stays as it was.
	silent := report(planFrom(t, strings.Replace(shipped(t), "      - send: welcome\n", "      - tag: silent\n", 1)))
	for i := range one.Messages {
		if m := one.Messages[i]; m.Message != "welcome" && m.Kind == "service" && m.Sent != silent.Messages[i].Sent {
			t.Errorf("message %s: %d, and %d without the welcome", m.Message, m.Sent, silent.Messages[i].Sent)
		}
	}
	if a, b := one.Offers[1], silent.Offers[1]; a.Opened == 0 || a.Taken != b.Taken {
		t.Errorf("%d taken, and %d without the welcome", a.Taken, b.Taken)
	}
}

// A question that this build cannot answer is an error that names it.
func TestUnknownAskIsNamed(t *testing.T) {
	t.Parallel()
	l := &life{p: planFrom(t, shop), keeper: &counter{}}
	_, err := l.answer(nil, &campaign.Ask{Key: "shop/1/sale/m/1/2/1"}, 0)
	if err == nil || !strings.Contains(err.Error(), "shop/1/sale/m/1/2/1") || campaign.CodeOf(err) != campaign.CodeUnavailable {
		t.Errorf("answered %v", err)
	}
}

// A way into a journey that this build does not know is an error, not a journey that
// nobody enters.
func TestUnknownStartIsNamed(t *testing.T) {
	t.Parallel()
	def, problems := definitions.Check("test.yaml", []byte(shop))
	if def == nil {
		t.Fatal(problems)
	}
	def.Journeys[0].Starts = append(def.Journeys[0].Starts, campaign.Start{})
	if _, err := NewPlan(def); err == nil || !strings.Contains(err.Error(), "journey sale starts in a way") {
		t.Errorf("it is accepted: %v", err)
	}
}

// A run that is broken off ends, and says so.
func TestRunIsBrokenOff(t *testing.T) {
	t.Parallel()
	p := planFrom(t, shop)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := Rehearse(ctx, Config{Plan: p, From: first, Span: day, People: Made(p, Derive(p, first), 100, 1, first, day)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// BenchmarkModel takes 1,000 members through 180 days of the model campaign. A million
// take a thousand times as long, on each core.
func BenchmarkModel(b *testing.B) {
	p := planFrom(b, shipped(b))
	from := p.DefaultFrom(first)
	people := Made(p, Derive(p, from), 1000, 1, from, 180*day)
	b.ReportAllocs()
	for b.Loop() {
		rehearse(b, Config{Plan: p, People: people, From: from, Span: 180 * day, Workers: 1})
	}
}

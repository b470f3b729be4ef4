package graph

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

var update = flag.Bool("update", false, "rewrite the pictures in testdata")

func load(t *testing.T, file string) *campaign.Definition {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	def, problems := definitions.Check(file, source)
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	return def
}

// TestGolden compares what is drawn with what was looked at.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/thirty.yaml", "testdata/two.yaml", "testdata/kinds.yaml", "../definitions/fitness-trial.yaml"} {
		def := load(t, file)
		for _, format := range []Format{Mermaid, SVG} {
			name := filepath.Join("testdata", strings.TrimSuffix(filepath.Base(file), ".yaml")+"."+string(format))
			got, err := Draw(def, "", format)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got); -update rewrites it, then look at it:\n%s", name, diff)
			}
		}
	}
}

// TestOneJourney checks that a journey can be drawn alone, and that a wrong name is told
// with the right ones.
func TestOneJourney(t *testing.T) {
	t.Parallel()
	def := load(t, "testdata/two.yaml")
	for _, format := range []Format{Mermaid, SVG} {
		got, err := Draw(def, "second", format)
		if err != nil || strings.Contains(got, "j1_") || !strings.Contains(got, "j2_") {
			t.Errorf("%v: %s", err, got)
		}
	}
	if _, err := Draw(def, "third", SVG); campaign.CodeOf(err) != campaign.CodeNotFound || !strings.Contains(err.Error(), "first, second") {
		t.Error(err)
	}
	if _, err := Draw(def, "", "png"); campaign.CodeOf(err) != campaign.CodeInvalid {
		t.Error(err)
	}
}

// TestEveryKind names a kind of step that this package has not been told of.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	for _, kind := range campaign.StepKinds() {
		var steps campaign.Steps
		if err := json.Unmarshal(fmt.Appendf(nil, `[{"kind":%q,"id":"1"}]`, kind), &steps); err != nil {
			t.Fatal(err)
		}
		if looks[kind] == lookOther {
			t.Errorf("the step %q has no look; add it to looks", kind)
		}
		if _, _, known := leaves(&campaign.Definition{}, steps[0]); !known {
			t.Errorf("how a journey leaves the step %q is not known; add it to leaves", kind)
		}
	}
}

// randomSteps makes steps of every kind, as deep as a campaign is at most in practice.
func randomSteps(r *rapid.T, prefix string, depth int, labels *[]string) campaign.Steps {
	var out campaign.Steps
	n := rapid.IntRange(0, 4).Draw(r, "steps")
	for i := range n {
		common := campaign.StepCommon{ID: fmt.Sprintf("%s%d", prefix, i+1)}
		if rapid.IntRange(0, 4).Draw(r, "labelled") == 0 {
			common.Label = fmt.Sprintf("l%d", len(*labels))
			*labels = append(*labels, common.Label)
		}
		block := func(name string) campaign.Steps {
			if depth == 0 {
				return nil
			}
			return randomSteps(r, common.ID+"."+name+".", depth-1, labels)
		}
		word := rapid.SampledFrom([]string{"a", "monthly-card", "价格敏感的会员", strings.Repeat("很长的名字", 20), "<&\"#>`\\\x01"}).Draw(r, "word")
		switch rapid.IntRange(0, 12).Draw(r, "kind") {
		case 0:
			out = append(out, &campaign.Send{StepCommon: common, Message: word})
		case 1:
			out = append(out, &campaign.Wait{StepCommon: common, For: time.Hour})
		case 2:
			out = append(out, &campaign.Await{StepCommon: common, Events: []string{word, "b"}, When: word, For: time.Hour, Otherwise: block("otherwise")})
		case 3:
			s := &campaign.MakeOffer{StepCommon: common, Offer: rapid.SampledFrom([]string{"locked", "open", "once"}).Draw(r, "offer")}
			if s.Offer != "open" { // which goes on at once, and has no branches
				s.Taken, s.Lapsed = block("taken"), block("lapsed")
			}
			out = append(out, s)
		case 4:
			s := &campaign.Choose{StepCommon: common}
			for k := range rapid.IntRange(1, 3).Draw(r, "cases") {
				s.Cases = append(s.Cases, campaign.Case{When: word, Steps: block(fmt.Sprintf("case%d", k+1))})
			}
			s.Otherwise = block("otherwise")
			out = append(out, s)
		case 5:
			out = append(out, &campaign.Tag{StepCommon: common, Tags: []string{word}})
		case 6:
			out = append(out, &campaign.Set{StepCommon: common, Assign: []campaign.Assign{{Attribute: "a", Value: word}}})
		case 7:
			if len(*labels) > 0 {
				return append(out, &campaign.Goto{StepCommon: common, Target: rapid.SampledFrom(*labels).Draw(r, "target")})
			}
		case 8:
			return append(out, &campaign.End{StepCommon: common, Outcome: "done"})
		case 9:
			s := &campaign.Split{StepCommon: common, Name: word}
			for _, name := range []string{"A", "B", "with-photo"}[:rapid.IntRange(2, 3).Draw(r, "arms")] {
				s.Arms = append(s.Arms, campaign.Arm{Name: name, Share: 3333, Steps: block(name)})
			}
			out = append(out, s)
		case 10:
			until := rapid.SampledFrom([]string{"", word}).Draw(r, "until")
			out = append(out, &campaign.Repeat{StepCommon: common, Times: 3, Until: until, Steps: block(campaign.RepeatBlock)})
		case 11:
			out = append(out, &campaign.AskQuestion{
				StepCommon: common, Message: word, For: time.Hour, Otherwise: block("otherwise"),
				Answers: []campaign.AnswerForm{{Name: "times", Type: campaign.TypeInt}, {Name: "goal", Type: campaign.TypeString}},
			})
		case 12:
			out = append(out, &campaign.OpenReview{
				StepCommon: common, By: "coach", About: word, For: time.Hour, Otherwise: campaign.Reject,
				Approved: block("approved"), Rejected: block("rejected"),
			})
		}
	}
	return out
}

var declared = regexp.MustCompile(`(?m)^ +(j1_\w+)(?:\[|\(|\(\[|\{\{)"`)

// TestPictures checks of pictures of any journey that frames do not lie on each other,
// that words stay inside them, that lines run straight and end at frames, and that every
// step is there once.
func TestPictures(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var labels []string
		def := &campaign.Definition{
			Title: "题",
			Offers: []campaign.Offer{
				{Name: "locked", Title: "锁价", Lock: time.Hour}, {Name: "open", Title: "x"}, {Name: "once", Title: "x", Lock: time.Hour, PerMember: 1},
			},
			Roles:    []campaign.Role{{Name: "coach", Title: "coach", Backup: "owner"}},
			Journeys: []campaign.Journey{{Name: "j", Starts: []campaign.Start{{API: true}}, Steps: randomSteps(r, "", 3, &labels)}},
		}
		c := chartOf(def, &def.Journeys[0], "j1")
		p := &picture{}
		width, bottom := p.lay(c, 0)
		for i, a := range p.boxes {
			if a.x-a.w/2 < 0 || a.x+a.w/2 > width || a.y < 0 || a.y+a.h > bottom {
				r.Fatalf("%s lies outside the picture", a.id)
			}
			for _, line := range a.shown() {
				if columnsOf(line)*columnWidth > a.w {
					r.Fatalf("%q is wider than its frame", line)
				}
			}
			for _, b := range p.boxes[:i] {
				if abs(a.x-b.x) < (a.w+b.w)/2 && a.y < b.y+b.h && b.y < a.y+a.h {
					r.Fatalf("%s and %s lie on each other", a.id, b.id)
				}
			}
		}
		for _, l := range p.lines {
			for i := 1; i < len(l.points); i++ {
				if a, b := l.points[i-1], l.points[i]; a.x != b.x && a.y != b.y {
					r.Fatalf("a line runs askew: %v", l.points)
				}
			}
			if end := l.points[len(l.points)-1]; l.arrow && !touches(p.boxes, end) {
				r.Fatalf("an arrow points at nothing: %v", l.points)
			}
		}
		steps := count(def.Journeys[0].Steps)
		ends := 1
		if c.finish != nil {
			ends = 2
		}
		if len(p.boxes) != steps+ends {
			r.Fatalf("%d boxes for %d steps", len(p.boxes), steps)
		}
		drawn, err := Draw(def, "", SVG)
		if err != nil {
			r.Fatal(err)
		}
		for d := xml.NewDecoder(strings.NewReader(drawn)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				r.Fatalf("no XML: %v", err)
			}
		}
		text, err := Draw(def, "", Mermaid)
		if err != nil {
			r.Fatal(err)
		}
		ids := map[string]bool{}
		for _, m := range declared.FindAllStringSubmatch(text, -1) {
			if ids[m[1]] {
				r.Fatalf("%s is there twice:\n%s", m[1], text)
			}
			ids[m[1]] = true
		}
		if len(ids) != steps+ends {
			r.Fatalf("%d of %d steps in:\n%s", len(ids), steps, text)
		}
		for _, word := range regexp.MustCompile(`j1_\w+`).FindAllString(text, -1) {
			if !ids[word] {
				r.Fatalf("%s is nowhere in:\n%s", word, text)
			}
		}
	})
}

func touches(boxes []*box, p point) bool {
	for _, b := range boxes {
		if p.x == b.x && p.y == b.y || (p.x == b.x-b.w/2 || p.x == b.x+b.w/2) && p.y == b.y+b.h/2 {
			return true
		}
	}
	return false
}

func count(steps campaign.Steps) int {
	n := len(steps)
	for _, s := range steps {
		for _, b := range campaign.Children(s) {
			n += count(b.Steps)
		}
	}
	return n
}

func abs(n int) int { return max(n, -n) }

// Package graph draws the journeys of a campaign: as Mermaid text, for pages that draw by
// themselves, and as an SVG picture, laid out here. It reads checked definitions and knows
// of a kind of step no more than how it is left.
package graph

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

// Format is a way to draw.
type Format string

// Formats.
const (
	Mermaid Format = "mermaid"
	SVG     Format = "svg"
)

// Draw draws one journey of a campaign, or all where the name is empty.
func Draw(def *campaign.Definition, journey string, format Format) (string, error) {
	var charts []*chart
	for i := range def.Journeys {
		if journey == "" || def.Journeys[i].Name == journey {
			charts = append(charts, chartOf(def, &def.Journeys[i], fmt.Sprintf("j%d", i+1)))
		}
	}
	if len(charts) == 0 {
		names := make([]string, len(def.Journeys))
		for i := range def.Journeys {
			names[i] = def.Journeys[i].Name
		}
		return "", campaign.Errorf(campaign.CodeNotFound, "campaign %s has no journey %q; it has %s", def.Name, journey, strings.Join(names, ", "))
	}
	switch format {
	case Mermaid:
		return mermaid(charts), nil
	case SVG:
		return svg(def.Title, charts), nil
	}
	return "", campaign.Errorf(campaign.CodeInvalid, "a graph is %s or %s, not %q", Mermaid, SVG, format)
}

// chart is a journey as it is drawn: a chain of boxes from its start to its end.
type chart struct {
	id, name string
	start    *box
	chain    []*box
	finish   *box            // where a journey ends that runs off its last step; nil if none does
	labels   map[string]*box // steps that a goto may jump to
	gotos    []*box
}

// box is one thing that is drawn with a frame: a step, or the start or end of a journey.
type box struct {
	id     string
	look   look
	lines  []string // the first names it; the others say more
	lanes  []lane   // the ways on, from left to right; none: it goes straight on, or nowhere
	goes   bool     // without lanes: whether it goes on
	label  string   // that a goto may jump to
	target string   // of a goto

	x, y, w, h int // of the frame, once it is laid out: the middle of its upper side, and its size
}

// lane is one way on from a box: through a chain of steps, which may be empty, to
// whatever follows the box.
type lane struct {
	words string // when this way is taken
	chain []*box
	back  bool // it leads back to its box, not on
}

// on reports whether what follows the box may be reached by this way.
func (l *lane) on() bool { return !l.back && goesOn(l.chain) }

// look is how a box is drawn: by what its step does.
type look int

const (
	lookOther look = iota
	lookStart
	lookTell   // it sends
	lookSell   // it offers or gives
	lookWait   // time passes
	lookDecide // the way parts
	lookChange // the member changes
	lookJump
	lookEnd
)

// looks gives each kind of step its look.
var looks = map[campaign.StepKind]look{
	campaign.StepSend: lookTell, campaign.StepWait: lookWait, campaign.StepAwait: lookWait, campaign.StepOffer: lookSell,
	campaign.StepChoose: lookDecide, campaign.StepTag: lookChange, campaign.StepUntag: lookChange, campaign.StepSet: lookChange,
	campaign.StepGrant: lookSell, campaign.StepGoto: lookJump, campaign.StepEnd: lookEnd, campaign.StepSplit: lookDecide,
	campaign.StepRepeat: lookDecide, campaign.StepAsk: lookTell, campaign.StepReview: lookWait, campaign.StepTeam: lookWait, campaign.StepCall: lookWait,
	campaign.StepRefer: lookWait,
}

// leaves tells how a journey leaves a step besides through its blocks: whether it may go
// straight on, and in which case. known is false for a kind that this package has not
// been told of; it is drawn as one that goes on after its blocks.
func leaves(def *campaign.Definition, s campaign.Step) (words string, on, known bool) {
	switch s := s.(type) {
	case *campaign.Send, *campaign.Wait, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant:
		return "", true, true
	case *campaign.Await:
		return strings.Join(append([]string{strings.Join(s.Events, ", ")}, when(s.When)...), " "), true, true
	case *campaign.MakeOffer:
		if offer, ok := def.Offer(s.Offer); ok && offer.Lock > 0 && offer.PerMember > 0 {
			return "had it already", true, true
		}
		return "", endless(def, s), true
	case *campaign.AskQuestion, *campaign.CallService:
		return "answered", true, true
	case *campaign.Repeat: // its steps lead back to it, and it is left from there
		return ended(s), true, true
	case *campaign.Choose, *campaign.Split, *campaign.OpenReview, *campaign.FormTeam, *campaign.Goto, *campaign.End, *campaign.FollowReferral:
		return "", false, true
	}
	return "", true, false
}

// ended says when a repeat is over.
func ended(s *campaign.Repeat) string {
	if s.Until == "" {
		return "after the last round"
	}
	return "after the last round, or when " + oneLine(s.Until)
}

// share writes basis points as the campaign does.
func share(points int) string {
	return strconv.FormatFloat(float64(points)/100, 'f', -1, 64) + "%"
}

func when(condition string) []string {
	if condition == "" {
		return nil
	}
	return []string{"when", oneLine(condition)}
}

// branch says when the way through a block is taken.
func branch(s campaign.Step, i int, name string) string {
	switch s := s.(type) {
	case *campaign.Choose:
		if i < len(s.Cases) {
			return oneLine(s.Cases[i].When)
		}
	case *campaign.Await:
		return "not within " + campaign.FormatDuration(s.For)
	case *campaign.AskQuestion:
		return "not within " + campaign.FormatDuration(s.For)
	case *campaign.CallService:
		return "no answer within " + campaign.FormatDuration(s.For)
	case *campaign.Split:
		return name + " " + share(s.Arms[i].Share)
	case *campaign.Repeat:
		return "a round"
	case *campaign.OpenReview:
		if name == string(s.Otherwise.State()) {
			return name + ", or nobody decides"
		}
	case *campaign.FormTeam:
		if name == "failed" {
			return "not complete within " + campaign.FormatDuration(s.Within)
		}
	case *campaign.MakeOffer:
		if words, ok := map[string]string{"taken": "team complete", "failed": "team not complete in time", "lapsed": "not ordered"}[name]; ok && s.Team != nil {
			return words
		}
	case *campaign.Send, *campaign.Wait, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.Goto, *campaign.End,
		*campaign.FollowReferral:
	}
	return name
}

// details say what the name of a step leaves out.
func details(def *campaign.Definition, s campaign.Step) []string {
	switch s := s.(type) {
	case *campaign.Send:
		return sending(def, s.Message, s.Via)
	case *campaign.MakeOffer:
		out := []string{}
		if offer, ok := def.Offer(s.Offer); ok {
			price := offer.Price.String()
			if offer.Lock > 0 {
				price += ", locked for " + campaign.FormatDuration(offer.Lock)
			}
			if t := offer.Team; t != nil {
				price += fmt.Sprintf(", %d buy together within %s", t.Size, campaign.FormatDuration(t.Within))
			}
			if whole := offer.Title + " " + price; columnsOf(whole) <= most {
				out = append(out, whole)
			} else {
				out = append(out, offer.Title, price)
			}
		}
		out = append(out, telling(s.Announce, s.Remind)...)
		if s.Team != nil {
			out = append(out, telling(s.Team.Announce, s.Team.Remind)...)
		}
		return out
	case *campaign.Grant:
		if reward, ok := def.Reward(s.Reward); ok {
			return []string{reward.Gift().Words()}
		}
	case *campaign.Set:
		out := make([]string, len(s.Assign))
		for i, a := range s.Assign {
			out[i] = a.Attribute + " = " + oneLine(a.Value)
		}
		return out
	case *campaign.AskQuestion:
		out := sending(def, s.Message, s.Via)
		names := make([]string, len(s.Answers))
		for i, a := range s.Answers {
			names[i] = a.Name
		}
		return append(out, "answers: "+strings.Join(names, ", "))
	case *campaign.OpenReview:
		var out []string
		if s.About != "" {
			out = append(out, oneLine(s.About))
		}
		text := "within " + campaign.FormatDuration(s.For)
		if role, ok := def.Role(s.By); ok && role.Backup != "" {
			text += ", then " + role.Backup + " as long again"
		}
		return append(out, text)
	case *campaign.FormTeam:
		var out []string
		if s.Join != "" {
			out = append(out, "joins "+oneLine(s.Join))
		}
		out = append(out, "within "+campaign.FormatDuration(s.Within))
		return append(out, telling(s.Announce, s.Remind)...)
	case *campaign.CallService:
		out := []string{oneLine(s.URL)}
		if s.SaveAs != "" {
			names := make([]string, len(s.Returns))
			for i, f := range s.Returns {
				names[i] = f.Name
			}
			out = append(out, "returns "+strings.Join(names, ", "))
		}
		return out
	case *campaign.FollowReferral:
		return referring(def)
	case *campaign.Wait, *campaign.Await, *campaign.Choose, *campaign.Split, *campaign.Repeat, *campaign.Tag, *campaign.Untag, *campaign.Goto, *campaign.End:
	}
	return nil
}

// telling is what is sent about something that opens and ends.
func telling(announce string, remind []campaign.Reminder) []string {
	var out []string
	if announce != "" {
		out = append(out, "announce "+announce)
	}
	for _, r := range remind {
		out = append(out, "remind "+campaign.FormatDuration(r.Before)+" before: "+r.Send)
	}
	return out
}

func sending(def *campaign.Definition, message string, via []string) []string {
	var out []string
	if m, ok := def.Message(message); ok && m.Text != "" {
		out = append(out, wording(m.Text))
	}
	if len(via) > 0 {
		out = append(out, "via "+strings.Join(via, ", "))
	}
	return out
}

var placeholder = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// wording is a message's text without what is filled in, which in a box as narrow as this
// would push out the words by which people know it.
func wording(text string) string {
	short := placeholder.ReplaceAllString(oneLine(text), "…")
	if words := strings.TrimLeft(short, "…，,：:！! "); words != "" {
		return words
	}
	return short
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func chartOf(def *campaign.Definition, j *campaign.Journey, id string) *chart {
	c := &chart{id: id, name: j.Name, labels: map[string]*box{}}
	lines := []string{j.Name}
	for _, s := range j.Starts {
		switch {
		case s.Event != "":
			lines = append(lines, strings.Join(append([]string{"on", s.Event}, when(s.When)...), " "))
		case s.Schedule != "":
			lines = append(lines, "segment "+s.Segment+" at "+s.Schedule)
		case s.Segment != "":
			lines = append(lines, "segment "+s.Segment)
		case s.API:
			lines = append(lines, "by the API")
		}
	}
	for _, t := range []struct {
		word    string
		trigger *campaign.Trigger
	}{{"goal:", j.Goal}, {"exit:", j.Exit}} {
		if t.trigger != nil {
			lines = append(lines, strings.Join(append([]string{t.word, t.trigger.Event}, when(t.trigger.When)...), " "))
		}
	}
	if j.Holdout > 0 {
		lines = append(lines, "holdout "+strconv.FormatFloat(float64(j.Holdout)/100, 'f', -1, 64)+" %")
	}
	c.start = &box{id: id + "_start", look: lookStart, lines: lines, goes: true}
	c.chain = c.steps(def, j.Steps)
	if goesOn(c.chain) {
		c.finish = &box{id: id + "_completed", look: lookEnd, lines: []string{"completed"}}
	}
	return c
}

func (c *chart) steps(def *campaign.Definition, steps campaign.Steps) []*box {
	out := make([]*box, 0, len(steps))
	for _, s := range steps {
		common := s.Common()
		b := &box{
			id: c.id + "_" + identifier(common.ID), look: looks[s.Kind()],
			lines: append([]string{campaign.StepName(s)}, details(def, s)...), label: common.Label,
		}
		if b.label != "" {
			b.lines = append(b.lines, "label "+b.label)
			c.labels[b.label] = b
		}
		words, on, _ := leaves(def, s)
		blocks := campaign.Children(s)
		if offer, ok := s.(*campaign.MakeOffer); ok && endless(def, offer) {
			blocks = nil // it goes on at once, whatever becomes of the offer
		}
		if on && len(blocks) > 0 {
			b.lanes = append(b.lanes, lane{words: words})
		}
		for i, block := range blocks {
			_, again := s.(*campaign.Repeat)
			b.way(lane{words: branch(s, i, block.Name), chain: c.steps(def, block.Steps), back: again})
		}
		b.goes = on
		if jump, ok := s.(*campaign.Goto); ok {
			b.target = jump.Target
			c.gotos = append(c.gotos, b)
		}
		out = append(out, b)
	}
	return out
}

// way adds a lane; those without steps are one.
func (b *box) way(l lane) {
	i := slices.IndexFunc(b.lanes, func(o lane) bool { return len(o.chain) == 0 && !o.back })
	if len(l.chain) > 0 || l.back || i < 0 {
		b.lanes = append(b.lanes, l)
		return
	}
	if b.lanes[i].words != "" {
		l.words = b.lanes[i].words + " / " + l.words
	}
	b.lanes[i].words = l.words
}

// endless reports an offer that a journey does not wait for.
func endless(def *campaign.Definition, s *campaign.MakeOffer) bool {
	offer, ok := def.Offer(s.Offer)
	return ok && offer.Lock == 0
}

// identifier makes a step's ID, such as 3.taken.1, one that Mermaid takes.
func identifier(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, id)
}

// goesOn reports whether a journey may come out at the end of a chain.
func goesOn(chain []*box) bool {
	return len(chain) == 0 || chain[len(chain)-1].goesOn()
}

func (b *box) goesOn() bool {
	for i := range b.lanes {
		if b.lanes[i].on() {
			return true
		}
	}
	return len(b.lanes) == 0 && b.goes
}

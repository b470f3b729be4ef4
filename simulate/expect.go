package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// pair matches what is expected with what there is: first what fits in every way, then
// what has the same name, in order. It answers for each expected thing the place of its
// match or -1, and which places are left over.
func pair(expected, got int, same, equal func(e, g int) bool) (of []int, left []int) {
	of = slices.Repeat([]int{-1}, expected)
	used := make([]bool, got)
	for _, fits := range []func(int, int) bool{equal, same} {
		for e := range of {
			for g := 0; of[e] < 0 && g < got; g++ {
				if !used[g] && fits(e, g) {
					of[e], used[g] = g, true
				}
			}
		}
	}
	for g := range used {
		if !used[g] {
			left = append(left, g)
		}
	}
	return of, left
}

// oftener says how often something happened that was expected to happen more often.
func oftener(got int, same func(g int) bool) string {
	n := 0
	for g := range got {
		if same(g) {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return " more than once"
	}
	return fmt.Sprintf(" more than %d times", n)
}

// isAt reports whether a moment is the expected one, to the second; zero expects any.
func isAt(want, got time.Time) bool {
	return want.IsZero() || want.Truncate(time.Second).Equal(got.Truncate(time.Second))
}

func (v *verifier) compare() {
	e := &v.t.Expect
	if e.Sends != nil {
		v.sends(e.Sends)
	}
	if e.Offers != nil {
		v.offers(e.Offers)
	}
	if e.Grants != nil {
		v.grants(e.Grants)
	}
	if e.Outcomes != nil {
		v.outcomes(e.Outcomes)
	}
	if e.Goal != nil && e.Goal.Reached != (v.rec.goals > 0) {
		if e.Goal.Reached {
			v.fail(e.Goal.Mark, "", "the goal was not reached, and the test expects that it is")
		} else {
			v.fail(e.Goal.Mark, "", "the goal was reached, and the test expects that it is not")
		}
	}
	v.member(e)
}

func (v *verifier) sends(x *definitions.Expected[definitions.ExpectedSend]) {
	got := v.rec.sends
	of, left := pair(len(x.List), len(got),
		func(e, g int) bool { return x.List[e].Message == got[g].Message },
		func(e, g int) bool {
			return x.List[e].Message == got[g].Message && isAt(x.List[e].At, got[g].At) && v.says(&x.List[e], &got[g])
		})
	for i := range x.List {
		e := &x.List[i]
		if of[i] < 0 {
			at := ""
			if !e.At.IsZero() {
				at = "; expected at " + v.when(e.At)
			}
			v.fail(e.Mark, v.whyNot(e.Message), "message %s was not sent%s%s", e.Message,
				oftener(len(got), func(g int) bool { return got[g].Message == e.Message }), at)
			continue
		}
		g := &got[of[i]]
		if !isAt(e.At, g.At) {
			v.fail(e.Mark, v.whyNot(e.Message), "message %s: expected at %s, got %s", e.Message, v.when(e.At), v.when(g.At))
		}
		if !v.says(e, g) {
			v.fail(e.Mark, "", "message %s: expected a text with %q, got %q", e.Message, e.Text, g.Bodies[0].Body)
		}
	}
	for _, g := range left {
		v.fail(x.Mark, "add it to the list if it is meant", "message %s was sent at %s, and the test does not expect it",
			got[g].Message, v.when(got[g].At))
	}
}

func (v *verifier) says(e *definitions.ExpectedSend, g *campaign.SendEffect) bool {
	return e.Text == "" || slices.ContainsFunc(g.Bodies, func(b campaign.ChannelBody) bool { return strings.Contains(b.Body, e.Text) })
}

// whyNot tells what the trace knows of a message that did not go out, or later.
func (v *verifier) whyNot(message string) string {
	var lines []string
	for i := range v.rec.trace {
		l := &v.rec.trace[i]
		if (l.Kind == campaign.TraceNotSent || l.Kind == campaign.TraceDelayed) && l.Params["message"] == message {
			lines = append(lines, v.when(v.rec.moments[i])+": "+l.Words(campaign.English))
		}
	}
	if len(lines) > 3 {
		lines = lines[:3]
	}
	return strings.Join(lines, "\n        ")
}

func (v *verifier) offers(x *definitions.Expected[definitions.ExpectedOffer]) {
	got := v.rec.opened
	moment := func(o *campaign.OfferEffect) time.Time {
		if o.State == campaign.OfferOpen {
			return o.OpenedAt
		}
		return o.ClosedAt
	}
	fits := func(e *definitions.ExpectedOffer, o *campaign.OfferEffect) bool {
		return e.Offer == o.Offer && (e.State == "" || e.State == o.State) && isAt(e.At, moment(o)) && (e.Paid == nil || *e.Paid == o.Paid)
	}
	of, left := pair(len(x.List), len(got),
		func(e, g int) bool { return x.List[e].Offer == got[g].Offer },
		func(e, g int) bool { return fits(&x.List[e], &got[g]) })
	for i := range x.List {
		e := &x.List[i]
		if of[i] < 0 {
			v.fail(e.Mark, "", "offer %s was not opened%s", e.Offer, oftener(len(got), func(g int) bool { return got[g].Offer == e.Offer }))
			continue
		}
		o := &got[of[i]]
		if e.State != "" && e.State != o.State {
			v.fail(e.Mark, v.whyReview(o.Offer), "offer %s: expected %s, got %s, at %s", e.Offer, e.State, o.State, v.when(moment(o)))
			continue
		}
		if !isAt(e.At, moment(o)) {
			v.fail(e.Mark, "", "offer %s: expected %s at %s, got %s", e.Offer, o.State, v.when(e.At), v.when(moment(o)))
		}
		if e.Paid != nil && *e.Paid != o.Paid {
			v.fail(e.Mark, "", "offer %s: expected %s paid, got %s", e.Offer, e.Paid, o.Paid)
		}
	}
	for _, g := range left {
		v.fail(x.Mark, "add it to the list if it is meant", "offer %s was opened at %s (it is %s), and the test does not expect it",
			got[g].Offer, v.when(got[g].OpenedAt), got[g].State)
	}
}

func (v *verifier) whyReview(offer string) string {
	for _, r := range v.rec.reviews {
		if r.Offer == offer {
			return fmt.Sprintf("a person is asked to look: %s (%s paid, %s asked)", r.Kind, r.Detail["paid"], r.Detail["price"])
		}
	}
	return ""
}

func (v *verifier) grants(x *definitions.Expected[definitions.ExpectedGrant]) {
	got := v.rec.grants
	of, left := pair(len(x.List), len(got),
		func(e, g int) bool { return x.List[e].Reward == got[g].reward },
		func(e, g int) bool { return x.List[e].Reward == got[g].reward && isAt(x.List[e].At, got[g].at) })
	for i := range x.List {
		e := &x.List[i]
		switch {
		case of[i] < 0:
			v.fail(e.Mark, v.whyNotGranted(e.Reward), "reward %s was not granted%s", e.Reward,
				oftener(len(got), func(g int) bool { return got[g].reward == e.Reward }))
		case !isAt(e.At, got[of[i]].at):
			v.fail(e.Mark, "", "reward %s: expected at %s, got %s", e.Reward, v.when(e.At), v.when(got[of[i]].at))
		}
	}
	for _, g := range left {
		v.fail(x.Mark, "add it to the list if it is meant", "reward %s was granted at %s, and the test does not expect it",
			got[g].reward, v.when(got[g].at))
	}
}

func (v *verifier) whyNotGranted(reward string) string {
	for i := range v.rec.trace {
		l := &v.rec.trace[i]
		if l.Kind == campaign.TraceNotGranted && l.Params["reward"] == reward {
			return v.when(v.rec.moments[i]) + ": " + l.Words(campaign.English)
		}
	}
	return ""
}

func (v *verifier) outcomes(x *definitions.Expected[definitions.ExpectedOutcome]) {
	var got []*walk
	for _, w := range v.l.walks {
		if v.rec.looks(w) {
			got = append(got, w)
		}
	}
	name := func(w *walk) string {
		if w.done() {
			return w.outcome
		}
		return definitions.UnderWay
	}
	for i := range x.List {
		e := &x.List[i]
		if i >= len(got) {
			v.fail(e.Mark, "", "expected outcome %s, but she did not enter%s", e.Outcome, again(i))
			continue
		}
		w := got[i]
		if have := name(w); have != e.Outcome {
			where := ""
			if s, ok := w.plan.steps[w.state.Step]; ok && !w.done() {
				where = fmt.Sprintf("it stands at %s in line %d", campaign.StepName(w.plan.order[s]), w.plan.order[s].Common().Line)
			}
			v.fail(e.Mark, where, "expected outcome %s, got %s", e.Outcome, have)
			continue
		}
		if w.done() && !isAt(e.At, w.state.Ended) {
			v.fail(e.Mark, "", "outcome %s: expected at %s, got %s", e.Outcome, v.when(e.At), v.when(w.state.Ended))
		}
	}
	for _, w := range got[min(len(x.List), len(got)):] {
		v.fail(x.Mark, "write the outcomes as a list, one for each entry", "she entered %s at %s as well, which came to %s",
			w.plan.Name, v.when(w.id.Entered), name(w))
	}
}

func again(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprintf(" a %d. time", i+1)
}

func (v *verifier) member(e *definitions.Expect) {
	m := &v.l.member
	for i, x := range e.Tags {
		got := m.Tags
		at := "at the end"
		if !x.At.IsZero() {
			got, at = v.tags[i], "at "+v.when(x.At)
		}
		if !slices.Equal(x.Tags, got) && len(x.Tags)+len(got) > 0 {
			v.fail(x.Mark, "", "tags %s: expected [%s], got [%s]", at, strings.Join(x.Tags, ", "), strings.Join(got, ", "))
		}
	}
	for _, x := range e.Attributes {
		if got := m.Attributes[x.Name]; !sameJSON(got, x.Value) {
			have := string(got)
			if got == nil {
				have = "none"
			}
			v.fail(x.Mark, "", "attribute %s: expected %s, got %s", x.Name, x.Value, have)
		}
	}
	if x := e.Points; x != nil && x.Points != m.Points {
		v.fail(x.Mark, "", "points: expected %d, got %d", x.Points, m.Points)
	}
}

func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

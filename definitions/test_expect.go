package definitions

import (
	"fmt"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

func (r *testForm) expect(n node) {
	o, ok := r.object(n, expectShape)
	if !ok {
		return
	}
	if len(o.fields) == 0 && len(o.meant) == 0 {
		r.problem(n, "missing-key", "nothing is expected", "write at least one of "+list(expectShape.keys))
	}
	e := &r.t.Expect
	for _, f := range o.fields {
		switch f.name {
		case "sends":
			e.Sends = listOf(r, f, expectedSend, "message", r.send)
		case "offers":
			e.Offers = listOf(r, f, expectedOffer, "offer", r.offer)
		case "grants":
			e.Grants = listOf(r, f, expectedGrant, "reward", r.grant)
		case "outcome":
			e.Outcomes = listOf(r, f, expectedOutcome, "outcome", r.outcome)
		case "goal":
			if b, ok := oneOf(r.checker, f.value, "true", "false"); ok {
				e.Goal = &ExpectedGoal{r.mark(f.value), b == "true"}
			}
		case "tags":
			r.tagsAt(f.value)
		case "attributes":
			r.attributes(f.value)
		case "points":
			points, _ := r.number(f.value)
			e.Points = &ExpectedPoints{r.mark(f.value), points}
		}
	}
}

// listOf reads a list whose items are mappings, or a name alone, which stands for a
// mapping with that name under key.
func listOf[T any](r *testForm, f field, s shape, key string, read func(o object, at node, name node) T) *Expected[T] {
	out := &Expected[T]{Mark: r.mark(f.key), List: []T{}}
	for _, item := range r.items(f.value) {
		if item.isScalar() {
			out.List = append(out.List, read(object{node: item}, item, item))
			continue
		}
		o, ok := r.object(item, s)
		if !ok {
			continue
		}
		name, has := o.get(key)
		if !has {
			r.missing(o, item, s.what, key, "write "+key+": NAME")
			continue
		}
		out.List = append(out.List, read(o, item, name))
	}
	return out
}

func (r *testForm) at(o object) time.Time {
	v, ok := o.get("at")
	if !ok {
		return time.Time{}
	}
	at, _ := r.when(v)
	return at
}

func (r *testForm) send(o object, at, name node) ExpectedSend {
	e := ExpectedSend{Mark: r.mark(at), At: r.at(o)}
	e.Message, _ = r.refer(name, "message", &r.declared.messages)
	if v, ok := o.get("text"); ok {
		e.Text, _ = r.text(v, "write the whole text, or a part of it")
	}
	return e
}

func (r *testForm) offer(o object, at, name node) ExpectedOffer {
	e := ExpectedOffer{Mark: r.mark(at), At: r.at(o)}
	e.Offer, _ = r.refer(name, "offer", &r.declared.offers)
	if v, ok := o.get("state"); ok {
		e.State, _ = oneOf(r.checker, v, campaign.OfferOpen, campaign.OfferTaken, campaign.OfferLapsed, campaign.OfferWithdrawn)
	}
	if v, ok := o.get("paid"); ok {
		if m, ok := r.money(v); ok {
			e.Paid = &m
		}
	}
	return e
}

func (r *testForm) grant(o object, at, name node) ExpectedGrant {
	e := ExpectedGrant{Mark: r.mark(at), At: r.at(o)}
	e.Reward, _ = r.refer(name, "reward", &r.declared.rewards)
	return e
}

func (r *testForm) outcome(o object, at, name node) ExpectedOutcome {
	e := ExpectedOutcome{Mark: r.mark(at), At: r.at(o)}
	known := r.outcomes()
	s, ok := r.text(name, "write an outcome, or a list of them")
	if ok && !slices.Contains(known, s) {
		r.unknown(name, "unknown-outcome", fmt.Sprintf("no journey ends as %q", shorten(s)), s, known)
	}
	e.Outcome = s
	return e
}

// outcomes are those that a journey of the campaign can have, and UnderWay.
func (c *checker) outcomes() []string {
	known := []string{campaign.OutcomeCompleted, campaign.OutcomeConverted, campaign.OutcomeExited, UnderWay}
	var walk func(campaign.Steps)
	walk = func(steps campaign.Steps) {
		for _, s := range steps {
			if end, ok := s.(*campaign.End); ok && !slices.Contains(known, end.Outcome) {
				known = append(known, end.Outcome)
			}
			for _, b := range campaign.Children(s) {
				walk(b.Steps)
			}
		}
	}
	for i := range c.def.Journeys {
		walk(c.def.Journeys[i].Steps)
	}
	if c.def.Referral != nil {
		for _, s := range []campaign.ReferralState{campaign.ReferralVested, campaign.ReferralRejected, campaign.ReferralExpired, campaign.ReferralClawedBack} {
			if !slices.Contains(known, string(s)) {
				known = append(known, string(s))
			}
		}
	}
	return known
}

func (r *testForm) tagsAt(n node) {
	if !n.isMapping() {
		r.t.Expect.Tags = append(r.t.Expect.Tags, ExpectedTags{Mark: r.mark(n), Tags: r.tagList(n)})
		return
	}
	all, _ := r.fields(n, "write a list of tags, or a mapping from moments to lists")
	for _, f := range all {
		e := ExpectedTags{Mark: r.mark(f.key), Tags: r.tagList(f.value)}
		if f.name != "end" {
			at, ok := r.when(node{yaml: resolve(f.key.yaml), path: f.key.path})
			if !ok {
				continue
			}
			e.At = at
		}
		r.t.Expect.Tags = append(r.t.Expect.Tags, e)
	}
}

func (r *testForm) attributes(n node) {
	all, _ := r.fields(n, "write a mapping from attributes to values")
	for _, f := range all {
		i := slices.IndexFunc(r.def.Member, func(p campaign.Property) bool { return p.Name == f.name })
		if i < 0 {
			r.unknown(f.key, "unknown-attribute", fmt.Sprintf("unknown attribute %q", shorten(f.name)), f.name, r.declared.attributes.order)
			continue
		}
		if v, ok := r.typed(f.value, r.def.Member[i]); ok {
			r.t.Expect.Attributes = append(r.t.Expect.Attributes, ExpectedAttribute{r.mark(f.key), f.name, v})
		}
	}
}

package definitions

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

var (
	testsShape = shape{what: "a file of tests", keys: []string{"tests"}}
	testShape  = shape{what: "a test", keys: []string{"name", "journey", "start", "until", "member", "holdout", "stock", "budget", "events", "expect"}}
	testMember = shape{what: "the member of a test", keys: []string{"id", "joined_at", "tags", "points", "source", "inviter"}}
	testEvent  = shape{what: "an event", keys: []string{"at", "stored", "event", "with", "enter", "decide", "answer", "refuse"}}
	// The order is that of the reference.
	expectShape     = shape{what: "what is expected", keys: []string{"sends", "offers", "grants", "outcome", "goal", "tags", "attributes", "points"}}
	expectedSend    = shape{what: "an expected message", keys: []string{"message", "at", "text"}}
	expectedOffer   = shape{what: "an expected offer", keys: []string{"offer", "state", "at", "paid"}}
	expectedGrant   = shape{what: "an expected grant", keys: []string{"reward", "at"}}
	expectedOutcome = shape{what: "an expected outcome", keys: []string{"outcome", "at"}}
)

// maxTests is how many tests a file has at most.
const maxTests = 1_000

func (c *checker) allTests(top object) {
	v, ok := top.get("tests")
	if !ok {
		return
	}
	if !v.isSequence() || len(v.yaml.Content) == 0 {
		c.problem(v, "wrong-type", fmt.Sprintf("\"tests\" is %s", emptyOr(v)), "write a list of tests, each with name, events and expect")
		return
	}
	if len(v.yaml.Content) > maxTests {
		c.problem(v, "too-many-tests", fmt.Sprintf("there are %d tests", len(v.yaml.Content)), fmt.Sprintf("at most %d are allowed", maxTests))
		return
	}
	loc, err := time.LoadLocation(c.def.Timezone)
	if err != nil {
		return // told already
	}
	seen := map[string]bool{}
	for _, item := range c.items(v) {
		o, ok := c.object(item, testShape)
		if !ok {
			continue
		}
		t := c.test(o, loc)
		if t.Name != "" && seen[t.Name] {
			name, _ := o.get("name")
			c.problem(name, "duplicate-test", fmt.Sprintf("two tests are called %q", shorten(t.Name)), "give each a name of its own")
		}
		seen[t.Name] = true
		c.tests = append(c.tests, t)
	}
}

// testForm is one test while it is read.
type testForm struct {
	*checker
	t   *Test
	loc *time.Location
}

func (c *checker) test(o object, loc *time.Location) Test {
	t := Test{Mark: c.mark(o.node)}
	r := &testForm{c, &t, loc}
	if v, ok := o.get("name"); ok {
		t.Name, _ = c.words(v, maxTitle)
		t.Mark = c.mark(v)
	} else {
		c.missing(o, o.node, "the test", "name", "write `name:` with what it shows")
	}
	if v, ok := o.get("journey"); ok {
		t.Journey = c.journeyName(v)
	}
	// Everything else may be told relative to the start.
	t.Start = c.testStart(loc)
	if v, ok := o.get("start"); ok {
		if at, _, ok := c.moment(v, loc); ok {
			t.Start = at
		}
	}
	if v, ok := o.get("until"); ok {
		t.Until, _ = r.when(v)
	}
	t.Member = campaign.Member{JoinedAt: t.Start.Add(-30 * 24 * time.Hour)}
	if v, ok := o.get("member"); ok {
		r.member(v)
	}
	if v, ok := o.get("holdout"); ok {
		if b, ok := oneOf(c, v, "true", "false"); ok {
			held := b == "true"
			t.Holdout = &held
		}
	}
	r.left(o)
	if v, ok := o.get("events"); ok {
		r.events(v)
	}
	if v, ok := o.get("expect"); ok {
		r.expect(v)
	} else {
		c.missing(o, o.node, "the test", "expect", "write `expect:` with "+list(expectShape.keys))
	}
	return t
}

// testStart is the moment that tests count from unless they say another one: noon of the
// first day of the window, or of a day that is as good as any.
func (c *checker) testStart(loc *time.Location) time.Time {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, loc)
	if c.def.Window != nil && !c.def.Window.From.IsZero() {
		day = c.def.Window.From.In(loc)
	}
	return time.Date(day.Year(), day.Month(), day.Day(), 12, 0, 0, 0, loc)
}

func (c *checker) journeyName(n node) string {
	name, ok := c.text(n, "write the name of a journey")
	if !ok {
		return ""
	}
	if _, known := c.def.Journey(name); !known {
		var names []string
		for i := range c.def.Journeys {
			names = append(names, c.def.Journeys[i].Name)
		}
		c.unknown(n, "unknown-journey", fmt.Sprintf("unknown journey %q", shorten(name)), name, names)
	}
	return name
}

const whenForm = "write a span from the test's start such as +2h or +1d30m, or a moment such as 2026-12-01 20:00"

// when reads a moment: absolute, or counted from the test's start.
func (r *testForm) when(n node) (time.Time, bool) {
	s, ok := r.text(n, whenForm)
	if !ok {
		return time.Time{}, false
	}
	if s != "" && (s[0] == '+' || s[0] == '-') {
		d, err := campaign.ParseDuration(s[1:])
		if s[1:] == "0" {
			d, err = 0, nil
		}
		if err != nil {
			r.problem(n, "bad-moment", fmt.Sprintf("%q is no moment", shorten(s)), whenForm)
			return time.Time{}, false
		}
		if s[0] == '-' {
			d = -d
		}
		return r.t.Start.Add(d), true
	}
	t, _, err := parseMoment(s, r.loc)
	if err != nil || t.Year() < 1970 || t.Year() > 9000 {
		r.problem(n, "bad-moment", fmt.Sprintf("%q is no moment", shorten(s)), whenForm)
		return time.Time{}, false
	}
	return t, true
}

func (r *testForm) member(n node) {
	s := testMember
	s.keys = append(slices.Clone(s.keys), propertyNames(r.def.Member)...)
	o, ok := r.object(n, s)
	if !ok {
		return
	}
	m := &r.t.Member
	for _, f := range o.fields {
		switch f.name {
		case "id":
			m.ID, ok = r.words(f.value, 128)
			r.t.NamedID = ok
		case "joined_at":
			if at, ok := r.when(f.value); ok {
				m.JoinedAt = at
			}
		case "tags":
			m.Tags = r.tagList(f.value)
		case "points":
			m.Points, _ = r.number(f.value)
		case "source":
			m.Source, _ = r.text(f.value, "write a text")
		case "inviter":
			m.Inviter, _ = r.text(f.value, "write a member's id")
		default:
			i := slices.IndexFunc(r.def.Member, func(p campaign.Property) bool { return p.Name == f.name })
			v, ok := r.typed(f.value, r.def.Member[i])
			if !ok {
				continue
			}
			if m.Attributes == nil {
				m.Attributes = map[string]json.RawMessage{}
			}
			m.Attributes[f.name] = v
			if f.name == "level" {
				m.Level = f.value.yaml.Value
			}
		}
	}
}

// left reads what is left of stock and budgets.
func (r *testForm) left(o object) {
	if v, ok := o.get("stock"); ok {
		all, _ := r.fields(v, "write a mapping from offers to pieces left, such as {gear: 0}")
		for _, f := range all {
			if _, known := r.def.Offer(f.name); !known {
				r.unknown(f.key, "unknown-offer", fmt.Sprintf("unknown offer %q", shorten(f.name)), f.name, r.declared.offers.order)
				continue
			}
			if r.t.Stock == nil {
				r.t.Stock = map[string]int{}
			}
			n, _ := r.number(f.value)
			r.t.Stock[f.name] = int(n)
		}
	}
	if v, ok := o.get("budget"); ok {
		all, _ := r.fields(v, "write a mapping from rewards to points left, such as {first-card: 0}")
		for _, f := range all {
			if _, known := r.def.Reward(f.name); !known {
				r.unknown(f.key, "unknown-reward", fmt.Sprintf("unknown reward %q", shorten(f.name)), f.name, r.declared.rewards.order)
				continue
			}
			if r.t.Budget == nil {
				r.t.Budget = map[string]int64{}
			}
			r.t.Budget[f.name], _ = r.number(f.value)
		}
	}
}

// number reads a whole number from 0.
func (c *checker) number(n node) (int64, bool) {
	form := fmt.Sprintf("write a whole number from 0 to %d", int64(maxPoints))
	s, ok := c.text(n, form)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil || i < 0 || i > maxPoints || s[0] == '+' {
		c.problem(n, "bad-number", fmt.Sprintf("%q cannot be %q", shorten(n.path.last()), shorten(s)), form)
		return 0, false
	}
	return i, true
}

// apiJourney reads the name of a journey that the API may enter somebody into.
func (c *checker) apiJourney(n node) string {
	name := c.journeyName(n)
	if j, ok := c.def.Journey(name); ok && !slices.ContainsFunc(j.Starts, func(s campaign.Start) bool { return s.API }) {
		c.problem(n, "no-api-start", fmt.Sprintf("journey %q has no start {api: true}", name), "let an event start it, as the campaign says")
	}
	return name
}

func (r *testForm) events(n node) {
	if !n.isSequence() {
		r.wrongType(n, "write a list such as - {at: +1d, event: lesson.attended, with: {lesson: yoga}}")
		return
	}
	for _, item := range r.items(n) {
		o, ok := r.object(item, testEvent)
		if !ok {
			continue
		}
		e := TestEvent{Mark: r.mark(item), At: r.t.Start}
		if v, ok := o.get("at"); ok {
			if at, ok := r.when(v); ok {
				e.At = at
			}
		} else {
			r.missing(o, item, "the event", "at", whenForm)
		}
		e.Stored = e.At
		if v, ok := o.get("stored"); ok {
			if at, ok := r.when(v); ok {
				e.Stored = at
				if at.Before(e.At) {
					r.problem(v, "stored-before", "the event is stored before it happens", "stored is when Banyan hears of it, which is not before `at`")
				}
			}
		}
		r.what(o, item, &e)
		r.t.Events = append(r.t.Events, e)
	}
}

func (r *testForm) what(o object, item node, e *TestEvent) {
	enter, entered := o.get("enter")
	name, told := o.get("event")
	decide, decided := o.get("decide")
	answer, answered := o.get("answer")
	refuse, refused := o.get("refuse")
	switch {
	case answered && (decided || entered || told || refused):
		r.problem(answer, "event-or-enter", "this is the answer to a call and something else", "write them as two lines of the list")
	case refused && (decided || entered || told):
		r.problem(refuse, "event-or-enter", "this is the refusal of a call and something else", "write them as two lines of the list")
	case answered:
		r.answer(o, answer, e)
	case refused:
		if call := r.callName(refuse); call != nil {
			e.Call, e.Refused = call.Name(), true
		}
	case decided && (entered || told):
		r.problem(decide, "event-or-enter", "this is a decision and something else", "write them as two lines of the list")
	case decided:
		e.Decide, _ = oneOf(r.checker, decide, campaign.Approve, campaign.Reject)
	case entered && told:
		r.problem(enter, "event-or-enter", "this is an event and an entry by the API", "write them as two lines of the list")
	case entered:
		e.Enter = r.apiJourney(enter)
	case !told:
		r.missing(o, item, "the event", "event", "write event: TYPE, enter: JOURNEY for an entry by the API, decide: approve for a person's decision, or answer: CALL for what a service answers")
	default:
		typ := r.reservation(name)
		if typ == nil {
			typ = r.eventType(name)
		}
		if typ == nil {
			return
		}
		e.Type = typ.Name
		props := map[string]json.RawMessage{}
		if v, ok := o.get("with"); ok {
			props, _ = r.given(v, typ)
		}
		if typ.Name == campaign.EventOrderPaid {
			for _, key := range []string{campaign.PropertyOffer, campaign.PropertyAmount} {
				if _, ok := props[key]; !ok {
					r.missing(o, item, "the order", key, "write with: {offer: NAME, amount: 199}")
				}
			}
			if _, ok := props[campaign.PropertyOrder]; !ok {
				props[campaign.PropertyOrder], _ = json.Marshal(fmt.Sprintf("order-%d", len(r.t.Events)+1))
			}
		}
		e.Properties, _ = json.Marshal(props)
	}
}

package judge

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// honest is a run of one member in which everything is right.
func honest(t *testing.T) (c *court, journal map[string]taken) {
	t.Helper()
	const m, of = "m-1", "funnel"
	shop := Funnel{Campaign: of, Shop: "here", Stock: 1, Budget: firstCard}
	c = &court{
		c: &Case{Funnels: []Funnel{shop}, Members: map[string]string{m: of}}, shops: map[string]*Funnel{of: &shop},
		t: &told{events: map[string]*Line{}, versions: []*Line{{Version: &Version{of, 1}, Told: begin.Add(-time.Hour), Answered: begin.Add(-time.Hour)}}},
		h: &held{
			clocks: map[string]clock{of: {1, begin, begin}}, events: map[string]*stored{}, of: map[string][]*stored{},
			members: map[string]member{m: {m, []string{"card", "gear-owner", "yoga"}, firstCard + gearBuyer}},
			stock:   map[string][2]int{of + "/gear": {1, 1}}, budgets: map[string][2]int64{of + "/first-card": {firstCard, firstCard}},
		},
		v: &Verdict{Outcomes: map[string]int{}, Unknown: map[string]bool{}}, people: map[string]bool{}, walks: map[string]*walk{},
	}
	for i, e := range []struct{ id, kind, properties string }{
		{"trial", typePaid, `{"order":"o-trial","offer":"trial","shop":"here","amount":{"amount":"9.90"}}`},
		{"lesson", typeLesson, `{"lesson":"yoga"}`},
		{"card", typePaid, `{"order":"o-card","offer":"monthly-card","shop":"here","amount":{"amount":"199.00"}}`},
		{"gear", typePaid, `{"order":"o-gear","offer":"gear","shop":"here","amount":{"amount":"380.00"}}`},
	} {
		event := Event{ID: e.id, Type: e.kind, Member: m, Time: hours(float64(i)), Properties: json.RawMessage(e.properties)}
		c.t.events[e.id] = &Line{Event: &event, Told: hours(float64(i)), Answered: hours(float64(i) + 0.2), Tries: 1}
		s := &stored{Event: event, seq: int64(i + 1), stored: hours(float64(i) + 0.1)}
		if err := s.read(); err != nil {
			t.Fatal(err)
		}
		c.h.events[e.id] = s
		c.h.of[m] = append(c.h.of[m], s)
	}
	id := func(s string) *string { return &s }
	c.h.journeys = []journey{
		{ID: 1, Campaign: of, Name: "trial-to-card", Member: m, Version: 1, Entry: 1, Status: "done", Outcome: "champion", Goal: id("card"), StartEvent: id("trial"), EnteredAt: hours(0), CreatedAt: hours(0)},
		{ID: 2, Campaign: of, Name: "card-year", Member: m, Version: 1, Entry: 1, Status: "active", EnteredAt: hours(2), CreatedAt: hours(2)},
	}
	open := func(name string, price, list int64, opened, closed float64, order string) heldOffer {
		expires, grace, at := hours(opened).Add(lock), hours(opened).Add(lock+offerGrace), hours(closed)
		return heldOffer{
			ID: "of-" + name, Campaign: of, Member: m, Name: name, State: stateTaken, Journey: 1, Price: price, List: list, Opened: hours(opened),
			Expires: &expires, Grace: &grace, Closed: &at, Order: &order, Paid: &price,
		}
	}
	c.h.offers = []heldOffer{open(card, cardPrice, cardList, 1, 2, "o-card"), open(gear, gearPrice, gearList, 2, 3, "o-gear")}
	c.t.offers = []*Seen{{Member: m, ID: "of-gear", Name: gear, OpenedAt: hours(2), ExpiresAt: hours(2).Add(lock)}}
	c.h.grants = []grant{{"g1", of, "first-card", m, "granted", "", firstCard}, {"g2", of, "gear-buyer", m, "granted", "", gearBuyer}}
	journal = map[string]taken{}
	for name, body := range map[string]string{
		"welcome": "欢迎，第 1 版，订单 o-trial", "card-offer": "月卡", "card-receipt": "月卡开好了，o-card", "gear-offer": "装备", "gear-receipt": "装备在路上，o-gear",
	} {
		c.h.messages = append(c.h.messages, message{Key: "k-" + name, Campaign: of, Member: m, Name: name, Body: body, State: "sent", Effect: "settled", Version: 1, Journey: 1})
		journal["k-"+name] = taken{Key: "k-" + name, Member: m, Message: name, Body: body, Times: 1}
	}
	slices.SortFunc(c.h.messages, func(a, b message) int { return len(a.Name) - len(b.Name) })
	return c, journal
}

func (c *court) all(journal map[string]taken) (failed []string) {
	c.events()
	c.outcomes()
	c.offers()
	c.messages(journal)
	c.grants()
	c.entries()
	for _, check := range c.v.Checks {
		if !check.OK {
			failed = append(failed, check.Name)
		}
	}
	return failed
}

// A judge who finds everything right proves nothing. Each of these runs is wrong in one
// thing, and he names it.
func TestTheJudgeSeesWhatIsWrong(t *testing.T) {
	c, journal := honest(t)
	if failed := c.all(journal); len(failed) > 0 {
		t.Fatalf("an honest run is found wrong: %v", c.v.Checks)
	}
	const (
		events = "every accepted event counted once"
		lives  = "every member's outcome as the event times demand"
		offers = "offers and stock exact"
		mail   = "each message delivered once or marked unknown, none lost"
		grants = "each reward granted once, within its budget"
		enters = "everybody entered once, on the version of the moment"
	)
	find := func(c *court, name string) *message {
		return &c.h.messages[slices.IndexFunc(c.h.messages, func(m message) bool { return m.Name == name })]
	}
	for name, wrong := range map[string]struct {
		check string
		tear  func(c *court, journal map[string]taken)
	}{
		"an accepted event is gone": {events, func(c *court, _ map[string]taken) {
			c.t.events["more"] = &Line{Event: &Event{ID: "more", Member: "m-1"}, Told: begin, Answered: begin}
		}},
		"an event that nobody told":          {events, func(c *court, _ map[string]taken) { delete(c.t.events, "lesson") }},
		"an event stored before it was told": {events, func(c *court, _ map[string]taken) { c.t.events["card"].Told = hours(2.15) }},
		"an event with another content": {events, func(c *court, _ map[string]taken) {
			c.t.events["card"].Event = &Event{ID: "card", Type: typePaid, Member: "m-1", Time: hours(2)}
		}},
		"a gap in the numbers": {events, func(c *court, _ map[string]taken) { c.h.events["gear"].seq = 9 }},
		"another outcome":      {lives, func(c *court, _ map[string]taken) { c.h.journeys[0].Outcome = "card-only" }},
		"a journey that hangs": {lives, func(c *court, _ map[string]taken) { c.h.journeys[0].Status = "active" }},
		"no conversion":        {lives, func(c *court, _ map[string]taken) { c.h.journeys[0].Goal = nil }},
		"a second walk":        {lives, func(c *court, _ map[string]taken) { c.h.journeys = append(c.h.journeys, c.h.journeys[0]) }},
		"a tag too few":        {lives, func(c *court, _ map[string]taken) { c.h.members["m-1"] = member{"m-1", nil, 150} }},
		"a review without a reason": {lives, func(c *court, _ map[string]taken) {
			c.h.reviews = []review{{"funnel", "underpaid", "m-1", card, "card"}}
		}},
		"an order that took nothing":       {offers, func(c *court, _ map[string]taken) { c.h.offers[1].State = stateLapsed }},
		"another price":                    {offers, func(c *court, _ map[string]taken) { c.h.offers[0].Price = cardList }},
		"a lock that is shorter than told": {offers, func(c *court, _ map[string]taken) { c.t.offers[0].ExpiresAt = hours(99) }},
		"a stock that was miscounted":      {offers, func(c *court, _ map[string]taken) { c.h.stock["funnel/gear"] = [2]int{0, 1} }},
		"an offer that is missing":         {offers, func(c *court, _ map[string]taken) { c.h.offers = c.h.offers[:1] }},
		"sent and never arrived":           {mail, func(_ *court, journal map[string]taken) { delete(journal, "k-welcome") }},
		"arrived under an unknown key":     {mail, func(_ *court, journal map[string]taken) { journal["k-2"] = taken{Key: "k-2", Member: "m-1"} }},
		"arrived with another text": {mail, func(_ *court, journal map[string]taken) {
			journal["k-welcome"] = taken{Member: "m-1", Message: "welcome", Body: "?"}
		}},
		"a receipt of another order": {mail, func(c *court, journal map[string]taken) {
			find(c, "card-receipt").Body = "月卡开好了，o-gear"
			journal["k-card-receipt"] = taken{Member: "m-1", Message: "card-receipt", Body: "月卡开好了，o-gear"}
		}},
		"one message under two keys": {mail, func(c *court, journal map[string]taken) {
			again := *find(c, "welcome")
			again.Key = "k-again"
			c.h.messages = append(c.h.messages, again)
			journal["k-again"] = journal["k-welcome"]
		}},
		"one message too few": {mail, func(c *court, journal map[string]taken) {
			find(c, "gear-receipt").Name, journal["k-gear-receipt"] = "comeback", taken{Member: "m-1", Message: "comeback", Body: find(c, "gear-receipt").Body}
		}},
		"claimed and forgotten": {mail, func(c *court, _ map[string]taken) { find(c, "welcome").State = "claimed" }},
		"dropped and yet it has arrived": {mail, func(c *court, _ map[string]taken) {
			m, end := find(c, "gear-offer"), hours(26)
			m.State, m.Reason, m.Deadline = "dropped", "deadline_passed", &end
		}},
		"unknown without an end": {mail, func(c *court, _ map[string]taken) { find(c, "welcome").State = "unknown" }},
		"a reward granted twice": {grants, func(c *court, _ map[string]taken) { c.h.grants = append(c.h.grants, c.h.grants[0]) }},
		"a reward that was not earned": {grants, func(c *court, _ map[string]taken) {
			c.h.grants = append(c.h.grants, grant{"g3", "funnel", "other", "m-1", "refused", "", 1})
		}},
		"points from nowhere":       {grants, func(c *court, _ map[string]taken) { c.h.members["m-1"] = member{"m-1", c.h.members["m-1"].Tags, 151} }},
		"more than the budget":      {grants, func(c *court, _ map[string]taken) { c.shops["funnel"].Budget, c.c.Funnels[0].Budget = 50, 50 }},
		"a card for a year too few": {enters, func(c *court, _ map[string]taken) { c.h.journeys = c.h.journeys[:1] }},
		"an older version than there was": {enters, func(c *court, _ map[string]taken) {
			c.t.versions = append(c.t.versions, &Line{Version: &Version{"funnel", 2}, Told: begin.Add(-time.Minute), Answered: begin.Add(-time.Minute)})
		}},
	} {
		c, journal := honest(t)
		wrong.tear(c, journal)
		if failed := c.all(journal); !slices.Contains(failed, wrong.check) {
			t.Errorf("%s: %v, want %q among them", name, failed, wrong.check)
		}
	}
}

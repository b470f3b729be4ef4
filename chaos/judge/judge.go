package judge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Funnel is one of the campaigns that members walk, as it was set up.
type Funnel struct {
	Campaign string
	Shop     string // what an order says that belongs to it
	Stock    int    // of gear
	Budget   int64  // of first-card, in points
	Sliced   bool
}

// Case is what a verdict is based on.
type Case struct {
	DB      *pgx.Conn // past everything that may be cut
	Events  string    // the event file
	Journal string    // the receiver's journal
	Funnels []Funnel
	Members map[string]string // every member's campaign
	Alive   Workflows
}

// Check is one thing that was to be proved.
type Check struct {
	Name   string
	OK     bool
	Detail string   // in one line
	Wrong  []string // some of what contradicts it
}

// Verdict is the outcome of a run.
type Verdict struct {
	Checks []Check
	Wrong  []string // members to look at
	// Unknown says of each message whose outcome the engine does not know whether the
	// receiver has it.
	Unknown  map[string]bool
	Outcomes map[string]int // members by campaign and outcome
	Counts   Counts
}

// Counts say how much there was to be judged.
type Counts struct {
	Events, Tries, Again       int
	Messages, Sent, Dropped    int
	Unknown, UnknownDelivered  int
	Requests                   int // taken by the receiver, repetitions among them
	OpenedLate                 int
	Offers, Taken, SoldOut     int
	Granted, Refused           int
	Reviews, Converted         int
	Journeys, Alive, Workflows int
}

// OK reports whether everything was proved.
func (v *Verdict) OK() bool {
	return !slices.ContainsFunc(v.Checks, func(c Check) bool { return !c.OK })
}

// shown bounds how many contradictions of one check are listed.
const shown = 12

// court collects what contradicts one check after the other.
type court struct {
	c      *Case
	t      *told
	h      *held
	v      *Verdict
	wrong  []string
	people map[string]bool
	walks  map[string]*walk
	shops  map[string]*Funnel // by campaign
}

func (c *court) objection(member, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if member != "" {
		c.people[member] = true
		text = member + ": " + text
	}
	c.wrong = append(c.wrong, text)
}

func (c *court) done(name, format string, args ...any) {
	check := Check{Name: name, OK: len(c.wrong) == 0, Detail: fmt.Sprintf(format, args...)}
	if !check.OK {
		check.Detail = fmt.Sprintf("%d contradictions", len(c.wrong))
		check.Wrong = c.wrong[:min(shown, len(c.wrong))]
	}
	c.v.Checks, c.wrong = append(c.v.Checks, check), nil
}

// Try judges a run that has settled.
func Try(ctx context.Context, c *Case) (*Verdict, error) {
	t, err := readFile(c.Events)
	if err != nil {
		return nil, err
	}
	h, err := read(ctx, c.DB)
	if err != nil {
		return nil, fmt.Errorf("read the tables: %w", err)
	}
	journal, err := readJournal(c.Journal)
	if err != nil {
		return nil, err
	}
	court := &court{
		c: c, t: t, h: h, v: &Verdict{Outcomes: map[string]int{}, Unknown: map[string]bool{}}, people: map[string]bool{}, walks: map[string]*walk{}, shops: map[string]*Funnel{},
	}
	for i := range c.Funnels {
		court.shops[c.Funnels[i].Campaign] = &c.Funnels[i]
	}
	court.events()
	court.outcomes()
	court.offers()
	court.messages(journal)
	court.grants()
	if err := court.ledger(ctx); err != nil {
		return nil, err
	}
	court.entries()
	if err := court.workflows(ctx); err != nil {
		return nil, err
	}
	court.v.Wrong = slices.Sorted(maps.Keys(court.people))
	return court.v, nil
}

// events: what was accepted is stored, once, as it was told, between the first telling
// and the answer; and nothing else is stored.
func (c *court) events() {
	for id, l := range c.t.events {
		e := c.h.events[id]
		switch {
		case e == nil && !l.Answered.IsZero():
			c.objection(l.Event.Member, "event %s was accepted at %s and is not stored", id, l.Answered.Format(time.TimeOnly))
			continue
		case e == nil:
			continue
		case e.Type != l.Event.Type || e.Member != l.Event.Member || !e.Time.Equal(l.Event.Time) || !sameJSON(e.Properties, l.Event.Properties):
			c.objection(l.Event.Member, "event %s is stored as %s of %s at %s %s, which is not what was told", id, e.Type, e.Member, stamp(e.Time), e.Properties)
		case e.stored.Before(l.Told) || (!l.Answered.IsZero() && e.stored.After(l.Answered)):
			c.objection(l.Event.Member, "event %s was told at %s and accepted at %s, but says that it was stored at %s", id,
				stamp(l.Told), stamp(l.Answered), stamp(e.stored))
		}
	}
	for id, e := range c.h.events {
		if c.t.events[id] == nil {
			c.objection(e.Member, "event %s is stored, and nobody told it", id)
		}
	}
	for member, list := range c.h.of {
		for i, e := range list {
			if e.seq != int64(i+1) {
				c.objection(member, "event %s has number %d, as its %dth", e.ID, e.seq, i+1)
			}
			if i > 0 && e.stored.Before(list[i-1].stored) {
				c.objection(member, "event %s was stored before the one that it follows", e.ID)
			}
		}
		for _, e := range list {
			e.stored = c.h.clocks[c.c.Members[member]].at(e.stored) // from here on the campaign's clock counts
		}
	}
	c.v.Counts.Events, c.v.Counts.Tries, c.v.Counts.Again = len(c.h.events), c.t.tries, c.t.again
	c.done("every accepted event counted once", "%d events told in %d tries, and %d of them once more as duplicates", len(c.t.events), c.t.tries, c.t.again)
}

// outcomes: every member's journey ended as her events and their times demand.
func (c *court) outcomes() {
	offers := map[string]map[string]time.Time{}
	for i := range c.h.offers {
		o := &c.h.offers[i]
		if offers[o.Member] == nil {
			offers[o.Member] = map[string]time.Time{}
		}
		if _, twice := offers[o.Member][o.Name]; twice {
			c.objection(o.Member, "has two offers of %s", o.Name)
		}
		offers[o.Member][o.Name] = o.Opened
	}
	soldOut := map[string]bool{}
	reviews := map[string]map[string]string{}
	for _, r := range c.h.reviews {
		soldOut[r.Event] = soldOut[r.Event] || r.Kind == "paid_not_taken" && r.Offer == gear
		if reviews[r.Member] == nil {
			reviews[r.Member] = map[string]string{}
		}
		if reviews[r.Member][r.Event] != "" {
			c.objection(r.Member, "event %s has two reviews", r.Event)
		}
		reviews[r.Member][r.Event] = r.Kind
	}
	journeys := map[string]*journey{}
	for i := range c.h.journeys {
		if j := &c.h.journeys[i]; j.Name == "trial-to-card" {
			if journeys[j.Member] != nil {
				c.objection(j.Member, "walks the funnel twice")
			}
			journeys[j.Member] = j
		}
	}
	for member, of := range c.c.Members {
		w := follow(c.h.of[member], c.shops[of].Shop, asked{opened: offers[member], soldOut: soldOut})
		j := journeys[member]
		switch {
		case w == nil && j != nil:
			c.objection(member, "walks the funnel without having bought the trial")
			continue
		case w == nil:
			continue // the run ended before she came
		case j == nil:
			c.objection(member, "bought the trial and is in no journey")
			continue
		}
		c.walks[member] = w
		c.v.Outcomes[of+" "+j.Outcome]++
		c.v.Counts.OpenedLate += w.openLate
		c.v.Counts.Reviews += len(reviews[member])
		for _, p := range w.problems {
			c.objection(member, "%s", p)
		}
		if j.Campaign != of || j.Entry != 1 || j.Holdout {
			c.objection(member, "is in entry %d of %s (held out: %v), want the first of %s", j.Entry, j.Campaign, j.Holdout, of)
		}
		if j.Status != "done" || j.Outcome != w.outcome {
			c.objection(member, "is %s with outcome %q, and her events demand %q", j.Status, j.Outcome, w.outcome)
		}
		if goal := deref(j.Goal); goal != w.goal {
			c.objection(member, "converted by %q, and her events demand %q", goal, w.goal)
		}
		if w.goal != "" {
			c.v.Counts.Converted++
		}
		if !j.EnteredAt.Equal(w.start.Time) || deref(j.StartEvent) != w.start.ID {
			c.objection(member, "entered at %s by %s, want %s by %s", stamp(j.EnteredAt), deref(j.StartEvent), stamp(w.start.Time), w.start.ID)
		}
		tags := slices.Clone(w.tags)
		slices.Sort(tags)
		if m := c.h.members[member]; !slices.Equal(m.Tags, tags) {
			c.objection(member, "has the tags %v, want %v", m.Tags, tags)
		}
		if !maps.Equal(reviews[member], w.reviews) {
			c.objection(member, "has the reviews %v, want %v", reviews[member], w.reviews)
		}
	}
	c.done("every member's outcome as the event times demand", "%d members; %d offers opened late, because nobody was there for a whole grace", len(c.walks), c.v.Counts.OpenedLate)
}

// offers: those that there have to be, with their prices, locks, ends and orders, as the
// API told them; the stock is what was taken, and is short of nothing.
func (c *court) offers() {
	found := map[string]*heldOffer{}
	byID := map[string]*heldOffer{}
	for i := range c.h.offers {
		o := &c.h.offers[i]
		found[o.Member+" "+o.Name], byID[o.ID] = o, o
	}
	demanded, taken, soldOut := 0, map[string]int{}, map[string]int{}
	for member, w := range c.walks {
		for _, o := range w.offers {
			demanded++
			h := found[member+" "+o.name]
			if h == nil {
				c.objection(member, "was to be offered %s and was not", o.name)
				continue
			}
			name := h.Campaign + "/" + h.Name
			if got, want := h.line(), o.line(); got != want {
				c.objection(member, "%s is %s, want %s", o.name, got, want)
			}
			if h.State == stateTaken {
				taken[name]++
				c.v.Counts.Taken++
			}
			soldOut[name] += len(o.refusedEvents)
			c.v.Counts.SoldOut += len(o.refusedEvents)
		}
	}
	if demanded != len(c.h.offers) {
		c.objection("", "%d offers were made, and the events demand %d", len(c.h.offers), demanded)
	}
	for _, s := range c.t.offers {
		h := byID[s.ID]
		if h == nil || h.Member != s.Member || h.Name != s.Name || !h.Opened.Equal(s.OpenedAt) || !h.Expires.Equal(s.ExpiresAt) {
			c.objection(s.Member, "was told of offer %s of %s from %s to %s, which is not the one that is kept", s.ID, s.Name, stamp(s.OpenedAt), stamp(s.ExpiresAt))
		}
	}
	for _, f := range c.c.Funnels {
		name := f.Campaign + "/" + gear
		n, ok := c.h.stock[name]
		switch {
		case n[0] != taken[name] || (ok && n[1] != f.Stock):
			c.objection("", "%s: %d of %d are counted as taken, %d of %d offers are taken", name, n[0], n[1], taken[name], f.Stock)
		case taken[name] > f.Stock:
			c.objection("", "%s: %d of %d were sold", name, taken[name], f.Stock)
		case taken[name] < f.Stock && soldOut[name] > 0:
			c.objection("", "%s: %d were turned away, and only %d of %d were sold", name, soldOut[name], taken[name], f.Stock)
		}
	}
	c.v.Counts.Offers = len(c.h.offers)
	c.done("offers and stock exact", "%d offers, %d taken; %d orders came when the stock was gone", len(c.h.offers), c.v.Counts.Taken, c.v.Counts.SoldOut)
}

func (o *heldOffer) line() string {
	return fmt.Sprintf("%s %d/%d from %s to %s and %s, closed %s, order %q paid %d", o.State, o.Price, o.List, stamp(o.Opened), stamp(deref(o.Expires)),
		stamp(deref(o.Grace)), stamp(deref(o.Closed)), deref(o.Order), deref(o.Paid))
}

func (o *offer) line() string {
	return fmt.Sprintf("%s %d/%d from %s to %s and %s, closed %s, order %q paid %d", o.state, o.price, o.list, stamp(o.opened), stamp(o.expires),
		stamp(o.grace), stamp(o.closed), o.order, o.paid)
}

// messages: each one that has to be there is, once; what was sent reached the receiver
// under its key and with its text; what is unknown is looked up there; and the receiver
// has nothing else.
func (c *court) messages(journal map[string]taken) {
	of := map[string]map[string]*message{}
	n := &c.v.Counts
	for i := range c.h.messages {
		m := &c.h.messages[i]
		if of[m.Member] == nil {
			of[m.Member] = map[string]*message{}
		}
		if before := of[m.Member][m.Name]; before != nil {
			c.objection(m.Member, "is sent %s twice, as %s and %s", m.Name, before.Key, m.Key)
		}
		of[m.Member][m.Name] = m
		n.Messages++
		t, arrived := journal[m.Key]
		switch {
		case m.State == "sent" && !arrived:
			c.objection(m.Member, "%s counts as sent and never arrived", m.Key)
		case m.State == "sent":
			n.Sent++
		case m.State == "unknown" && m.Effect == "unknown" && m.Deadline != nil:
			c.v.Unknown[m.Key] = arrived
			if n.Unknown++; arrived {
				n.UnknownDelivered++
			}
		case m.State == "dropped" && m.Deadline != nil && m.Reason == "deadline_passed":
			if n.Dropped++; arrived {
				c.objection(m.Member, "%s counts as dropped and has arrived", m.Key)
			}
		default:
			c.objection(m.Member, "%s is %s (effect %s, reason %q)", m.Key, m.State, m.Effect, m.Reason)
		}
		if arrived && (t.Member != m.Member || t.Message != m.Name || t.Body != m.Body) {
			c.objection(m.Member, "%s arrived as %s to %s: %q, want %q", m.Key, t.Message, t.Member, t.Body, m.Body)
		}
		if w := c.walks[m.Member]; w != nil {
			c.bodies(m, w)
		}
	}
	known := map[string]bool{}
	for i := range c.h.messages {
		known[c.h.messages[i].Key] = true
	}
	for key, t := range journal {
		n.Requests += t.Times
		if !known[key] {
			c.objection(t.Member, "got %s under the key %s, which nobody claimed", t.Message, key)
		}
	}
	for member, w := range c.walks {
		for name, need := range w.messages {
			if need == yes && of[member][name] == nil {
				c.objection(member, "was to be sent %s and was not", name)
			}
		}
		for name, m := range of[member] {
			if _, ok := w.messages[name]; !ok {
				c.objection(member, "was sent %s, for which there was no reason", m.Key)
			}
		}
	}
	c.done("each message delivered once or marked unknown, none lost",
		"%d messages: %d sent, %d of no use any more and dropped, %d unknown (of these the receiver has %d)", n.Messages, n.Sent, n.Dropped, n.Unknown, n.UnknownDelivered)
}

// bodies: a text says what its facts demand.
func (c *court) bodies(m *message, w *walk) {
	want := ""
	switch m.Name {
	case "welcome":
		want = fmt.Sprintf("欢迎，第 %d 版，订单 %s", m.Version, w.start.props.Order)
	case "card-receipt", "gear-receipt":
		for _, o := range w.offers {
			switch {
			case o.name == card && m.Name == "card-receipt":
				want = "月卡开好了，" + o.order
			case o.name == gear && m.Name == "gear-receipt":
				want = "装备在路上，" + o.order
			}
		}
	default:
		return
	}
	if m.Body != want {
		c.objection(m.Member, "%s says %q, want %q", m.Key, m.Body, want)
	}
}

// grants: each reward that was earned is granted once, or refused because its budget
// was spent to the last grant.
func (c *court) grants() {
	of := map[string]map[string]*grant{}
	points := map[string]int64{}
	used, refused := map[string]int64{}, map[string]int{}
	for i := range c.h.grants {
		g := &c.h.grants[i]
		if of[g.Member] == nil {
			of[g.Member] = map[string]*grant{}
		}
		if of[g.Member][g.Reward] != nil {
			c.objection(g.Member, "is granted %s twice", g.Reward)
		}
		of[g.Member][g.Reward] = g
		name := g.Campaign + "/" + g.Reward
		switch g.State {
		case "granted":
			points[g.Member] += g.Points
			used[name] += g.Points
			c.v.Counts.Granted++
		default:
			refused[name]++
			c.v.Counts.Refused++
		}
		if want := map[string]int64{"first-card": firstCard, "gear-buyer": gearBuyer}[g.Reward]; g.Points != want {
			c.objection(g.Member, "%s is worth %d, want %d", g.Reward, g.Points, want)
		}
	}
	for member, w := range c.walks {
		for _, reward := range w.grants {
			if of[member][reward] == nil {
				c.objection(member, "earned %s and has no grant", reward)
			}
		}
		if len(of[member]) > len(w.grants) {
			c.objection(member, "has %d grants, and earned %v", len(of[member]), w.grants)
		}
		if m := c.h.members[member]; m.Points != points[member] {
			c.objection(member, "has %d points, and was granted %d", m.Points, points[member])
		}
	}
	for _, f := range c.c.Funnels {
		name := f.Campaign + "/first-card"
		b := c.h.budgets[name]
		switch {
		case b[0] != used[name] || used[name] > f.Budget:
			c.objection("", "%s: %d points are counted, %d were granted, the budget is %d", name, b[0], used[name], f.Budget)
		case refused[name] > 0 && used[name]+firstCard <= f.Budget:
			c.objection("", "%s: %d were refused, and only %d of %d points are spent", name, refused[name], used[name], f.Budget)
		}
		if n := refused[f.Campaign+"/gear-buyer"]; n > 0 {
			c.objection("", "%s/gear-buyer: %d were refused, and there was budget", f.Campaign, n)
		}
	}
	c.done("each reward granted once, within its budget", "%d granted, %d refused because the budget was spent", c.v.Counts.Granted, c.v.Counts.Refused)
}

// ledger: every posting sums to zero and is one grant, and every balance is the sum of
// its entries.
func (c *court) ledger(ctx context.Context) error {
	for _, q := range []struct{ wrong, sql string }{
		{"the entries of all accounts sum to %d", `select coalesce(sum(amount), 0)::bigint from ledger_entries`},
		{"%d postings do not sum to zero", `select count(*) from (select posting from ledger_entries group by posting having sum(amount) <> 0 or count(*) < 2) x`},
		{"%d grants have no posting", `select count(*) from grants g where state = 'granted' and not exists (select from ledger_postings p where p.key = g.key)`},
		{"%d postings have no grant", `select count(*) from ledger_postings p where kind = 'grant' and not exists (select from grants g where g.key = p.key and g.state = 'granted')`},
		{"%d postings move other points than their grant", `
			select count(*) from ledger_postings p join grants g on g.key = p.key
			  left join ledger_entries e on e.posting = p.id and e.amount > 0
			  left join ledger_accounts a on a.id = e.account and a.kind = 'member' and a.owner = g.member
			 where a.id is null or e.amount <> g.points`},
		{"%d balances are not the sum of their entries", `
			select count(*) from ledger_accounts a where kind not in ('issuer', 'redeemed', 'clawed_back')
			   and balance <> coalesce((select sum(amount) from ledger_entries e where e.account = a.id), 0)`},
		{"%d members' points are not their balance", `
			select count(*) from members m
			 where points <> coalesce((select balance from ledger_accounts a where a.kind = 'member' and a.owner = m.id), 0)`},
		{"%d effects are neither done nor given up", `select count(*) from effects where state = 'claimed'`},
		{"%d effects of grants and offers are in another state than what they made", `
			select count(*) from effects e left join grants g using (key) left join offers o on o.key = e.key
			 where (e.kind = 'grant' and g.key is null) or (e.kind = 'offer' and o.key is null)`},
	} {
		var n int64
		if err := c.c.DB.QueryRow(ctx, q.sql).Scan(&n); err != nil {
			return fmt.Errorf("add up the ledger: %w", err)
		}
		if n != 0 {
			c.objection("", q.wrong, n)
		}
	}
	c.done("ledger balanced", "every posting sums to zero, every balance is the sum of its entries")
	return nil
}

// entries: everybody entered once, on the version of the moment; a card for a year began
// for each who ordered one.
func (c *court) entries() {
	type submitted struct{ told, answered time.Time }
	versions := map[string]map[int]submitted{}
	for _, l := range c.t.versions {
		if versions[l.Version.Campaign] == nil {
			versions[l.Version.Campaign] = map[int]submitted{}
		}
		versions[l.Version.Campaign][l.Version.Number] = submitted{l.Told, l.Answered}
	}
	years := map[string]bool{}
	for _, j := range c.h.journeys {
		v, ok := versions[j.Campaign][j.Version]
		next, more := versions[j.Campaign][j.Version+1]
		switch {
		case !ok:
			c.objection(j.Member, "entered version %d of %s, which nobody submitted", j.Version, j.Campaign)
		case j.CreatedAt.Before(v.told):
			c.objection(j.Member, "entered version %d of %s before it was submitted", j.Version, j.Campaign)
		// created_at is when the transaction began, which may be a moment before the newer version was there.
		case more && !next.answered.IsZero() && j.CreatedAt.After(next.answered):
			c.objection(j.Member, "entered version %d of %s after the next was accepted", j.Version, j.Campaign)
		}
		if j.Name == "card-year" {
			if years[j.Member] {
				c.objection(j.Member, "has two cards for a year")
			}
			years[j.Member] = true
			if j.Status != "active" {
				c.objection(j.Member, "her card for a year is %s", j.Status)
			}
		}
	}
	for member, list := range c.h.of {
		of := c.shops[c.c.Members[member]]
		ordered := slices.ContainsFunc(list, func(e *stored) bool {
			return e.Type == typePaid && e.props.Offer == card && of != nil && e.props.Shop == of.Shop
		})
		if ordered != years[member] {
			c.objection(member, "ordered a card: %v; has one for a year: %v", ordered, years[member])
		}
	}
	c.v.Counts.Journeys = len(c.h.journeys)
	numbers := []string{}
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		numbers = append(numbers, fmt.Sprintf("%s %d", name, len(versions[name])))
	}
	c.done("everybody entered once, on the version of the moment", "%d journeys; versions: %s", len(c.h.journeys), strings.Join(numbers, ", "))
}

func deref[T any](p *T) (zero T) {
	if p == nil {
		return zero
	}
	return *p
}

package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// buying is a campaign whose members come by the order that pays for a place in a team.
const buying = `
campaign: together
title: group buy
events:
  order.paid: {order: string, offer: string, amount: money, team: string}
  order.refunded: {order: string}
  left: {}
offers:
  gear: {price: 380, list_price: 520, team: {size: 5, within: 24h}, stock: 600, per_member: 1}
journeys:
  group:
    start: {on: order.paid, when: 'event.offer == "gear"'}
    goal: {on: order.paid, when: 'event.offer == "gear"'}
    on_goal: continue
    exit: {on: left}
    steps:
      - offer: gear
        taken:
          - end: formed
        failed:
          - end: failed
        lapsed:
          - end: lapsed
`

// order tells that a member has paid for a place in the team with a code.
func order(id, member, code string) campaign.Event {
	return campaign.Event{
		ID: id, Type: campaign.EventOrderPaid, Member: member, Time: time.Now().UTC(),
		Properties: json.RawMessage(fmt.Sprintf(`{"order":"o-%s","offer":"gear","amount":{"amount":"380.00","currency":"CNY"},"team":%q}`, id, code)),
	}
}

// orders lets members in by orders, each with the code that she brings along.
func (p *party) orders(codes map[string]string) map[string]int64 {
	p.t.Helper()
	events := make([]campaign.Event, 0, len(codes))
	for m, code := range codes {
		events = append(events, order(m, m, code))
	}
	if _, err := p.StoreEvents(p.t.Context(), events); err != nil {
		p.t.Fatal(err)
	}
	p.route()
	return p.rows(codes)
}

// rows are the journeys of members.
func (p *party) rows(of map[string]string) map[string]int64 {
	p.t.Helper()
	out := make(map[string]int64, len(of))
	for m := range of {
		out[m] = int64(p.count(`select id from journeys where member = $1`, m))
	}
	return out
}

// paid holds what must be so of all that was paid.
func (p *party) paid() {
	p.t.Helper()
	for what, sql := range map[string]string{
		"orders with two places": `select count(*) from (select from team_members group by campaign, order_id having count(*) > 1) x`,
		"pieces of stock that are not what was taken": `
			select abs(s.taken - (select count(*) from offers o where o.state = 'taken' and not o.restocked or o.state = 'open' and o.order_id is not null)) from offer_stock s`,
		"offers that are taken without a complete team": `
			select count(*) from offers o where o.state = 'taken' and not exists (select from teams t where t.code = o.team and t.state = 'formed')`,
		"members of a complete team whose offer ended otherwise": `
			select count(*) from team_members m join teams t on t.id = m.team join offers o on o.journey = m.journey
			 where t.state = 'formed' and m.left_at is null and o.state not in ('open', 'taken')`,
		"orders that got nothing and are not to be paid back": `
			select count(*) from team_members m join offers o on o.journey = m.journey join teams t on t.id = m.team
			 where o.state in ('lapsed', 'withdrawn') and t.state <> 'formed'
			   and not exists (select from refund_requests r where r.order_id = m.order_id)
			   and not exists (select from events e where e.type = 'order.refunded' and e.properties ->> 'order' = m.order_id)`,
		"orders that got something and are to be paid back": `
			select count(*) from refund_requests r join offers o on o.order_id = r.order_id where o.state = 'taken'`,
		"refunds without a claim": `
			select count(*) from refund_requests r where not exists (select from effects e join messages m using (key) where e.key = r.key and m.kind = 'refund')`,
	} {
		if n := p.count(sql); n != 0 {
			p.t.Errorf("%d %s", n, what)
		}
	}
	p.sound()
}

// A thousand orders come at the same moment with the codes of twenty teams, and there are six
// hundred pieces. Six hundred get a place, no team has a member too many, four hundred and
// twenty are told that it is sold out. When the time is over, whoever is in no complete team
// is to be paid back once, and the stock is what was not sold.
func TestAThousandOrdersAtOnce(t *testing.T) {
	t.Parallel()
	for _, drive := range []campaign.Drive{campaign.DriveMembers, campaign.DriveSlices} {
		t.Run(string(drive), func(t *testing.T) {
			t.Parallel()
			const teams, comers, stock = 20, 1000, 600
			p := newParty(t, strings.Replace(buying, "  group:\n", "  group:\n    drive: "+string(drive)+"\n", 1), &store.DemoClock{Factor: 2})
			leaders := map[string]string{}
			for i := range teams {
				leaders[fmt.Sprintf("leader-%02d", i)] = ""
			}
			p.buy(drive, p.orders(leaders), 1)
			var codes []string
			for i := range teams {
				codes = append(codes, p.team(fmt.Sprintf("leader-%02d", i)).Code)
			}
			wanted := map[string]string{}
			for i := range comers {
				wanted[fmt.Sprintf("m-%04d", i)] = codes[(i*7)%teams]
			}
			rows := p.orders(wanted)
			p.buy(drive, rows, 1)
			p.paid()
			if n := p.count(`select count(*) from team_members`); n != stock {
				t.Errorf("%d have a place, want %d", n, stock)
			}
			if n := p.count(`select taken from offer_stock`); n != stock {
				t.Errorf("%d pieces are taken, want %d", n, stock)
			}
			if n := p.count(`select count(*) from reviews where kind = $1`, campaign.ReviewSoldOut); n != comers+teams-stock {
				t.Errorf("%d are told that it is sold out, want %d", n, comers+teams-stock)
			}
			if n := p.count(`select deadlocks from pg_stat_database where datname = current_database()`); n != 0 {
				t.Errorf("%d pages were broken off because of each other", n)
			}
			p.route()
			p.later(26 * time.Hour)
			if drive == campaign.DriveSlices {
				if _, err := p.Pool().Exec(t.Context(), `update journeys set due_at = clock_timestamp() where status = 'active'`); err != nil {
					t.Fatal(err)
				}
			}
			for m, row := range p.rows(leaders) {
				rows[m] = row
			}
			p.buy(drive, rows, 2)
			p.paid()
			formed := p.count(`select count(*) from teams where state = 'formed'`)
			if n := p.count(`select count(*) from offers where state = 'taken'`); n != 5*formed || formed == 0 {
				t.Errorf("%d have the offer, by %d complete teams", n, formed)
			}
			if n := p.count(`select count(*) from refund_requests where reason = 'team_failed' and amount = 38000`); n != stock-5*formed {
				t.Errorf("%d are to be paid back, want %d", n, stock-5*formed)
			}
			if n := p.count(`select taken from offer_stock`); n != 5*formed {
				t.Errorf("%d pieces are taken, want %d", n, 5*formed)
			}
			if n := p.count(`select count(*) from journeys where goal_at is not null`); n != 5*formed {
				t.Errorf("%d have converted, want %d", n, 5*formed)
			}
			if n := p.count(`select count(*) from teams where state = 'open'`); n != 0 {
				t.Errorf("%d teams stay open", n)
			}
			r, err := p.Report(t.Context(), "together")
			if err != nil || len(r.Teams) != 1 || len(r.Refunds) != 1 {
				t.Fatalf("%v\n%+v\n%+v", err, r.Teams, r.Refunds)
			}
			if x := r.Teams[0]; x.Offer != "gear" || x.Step != "" || x.Formed != int64(formed) || x.Opened != x.Formed+x.Failed || x.Open != 0 {
				t.Errorf("the report says %+v", x)
			}
			if x := r.Refunds[0]; x.Asked != int64(stock-5*formed) || x.Waiting != x.Asked || x.Amount.Amount != fmt.Sprintf("%d.00", 380*x.Asked) {
				t.Errorf("the report says %+v", x)
			}
		})
	}
}

// buy takes the turns of members at the same moment. All of them want a piece of one stock,
// so pages wait for each other; one that has waited for too long is taken again, as a worker
// does it.
func (p *party) buy(drive campaign.Drive, rows map[string]int64, turn int) {
	p.t.Helper()
	if drive != campaign.DriveSlices {
		p.turns(drive, rows, turn)
		return
	}
	var crowd sync.WaitGroup
	for slice := 1; slice <= p.count(`select max(id) from slices`); slice++ {
		crowd.Go(func() {
			for {
				_, err := p.taker.AdvanceSlice(p.t.Context(), campaign.SliceInput{Slice: slice}, func() bool { return true })
				if err == nil {
					return
				}
				if campaign.CodeOf(err) != campaign.CodeUnavailable {
					p.t.Error(err)
					return
				}
			}
		})
	}
	crowd.Wait()
}

// An order has one place for ever, whoever tells of it, how often, and even when she gave the
// place back.
func TestAnOrderCountsOnce(t *testing.T) {
	t.Parallel()
	p := newParty(t, buying, nil)
	ctx := t.Context()
	rows := p.orders(map[string]string{"a": ""})
	p.turn(rows["a"], 1)
	again := order("b", "b", p.team("a").Code)
	again.Properties = json.RawMessage(strings.Replace(string(again.Properties), `"o-b"`, `"o-a"`, 1)) // another member with her order
	if _, err := p.StoreEvents(ctx, []campaign.Event{again}); err != nil {
		t.Fatal(err)
	}
	p.route()
	b := p.rows(map[string]string{"b": ""})["b"]
	p.turn(b, 1)
	p.paid()
	if n := p.count(`select count(*) from team_members`); n != 1 {
		t.Errorf("one order has %d places", n)
	}
	if n := p.count(`select count(*) from trace where kind = 'team_not_joined' and params ->> 'reason' = $1`, campaign.TeamOrderTwice); n != 1 {
		t.Errorf("%d are told that the order is counted", n)
	}
	// PostgreSQL itself lets nobody into a team of buyers without an order of her own.
	for what, sql := range map[string]string{
		"without an order":         `insert into team_members (team, number, member, journey, joined_at, campaign, offer) select id, 2, 'x', $1, now(), campaign, offer from teams`,
		"as if it were no offer's": `insert into team_members (team, number, member, journey, joined_at, campaign) select id, 2, 'x', $1, now(), campaign from teams`,
		"with the same order":      `insert into team_members (team, number, member, journey, joined_at, campaign, offer, order_id) select id, 2, 'x', $1, now(), campaign, offer, 'o-a' from teams`,
	} {
		if _, err := p.Pool().Exec(ctx, sql, b); err == nil {
			t.Errorf("somebody is in the team %s", what)
		}
	}
}

// crashes is a store whose transactions break off at their end, as if the worker had died.
type crashes struct {
	*store.Store
	left int
}

var errDied = errors.New("the worker died")

func (c *crashes) InTurns(ctx context.Context, journeys []int64, do func(*store.PageTx) error) error {
	return c.Store.InTurns(ctx, journeys, func(p *store.PageTx) error {
		if err := do(p); err != nil {
			return err
		}
		if c.left--; c.left >= 0 {
			return errDied
		}
		return nil
	})
}

// Whenever the worker dies, either all that a turn decided is there or nothing, and a turn
// that is asked for again decides nothing twice.
func TestAWorkerDiesAmongBuyers(t *testing.T) {
	t.Parallel()
	p := newParty(t, strings.Replace(buying, "size: 5", "size: 3", 1), &store.DemoClock{Factor: 2})
	ctx := t.Context()
	taker := &turn.Taker{Store: &crashes{p.Store, 0}, Programs: turn.NewCache(), Via: []string{"console"}}
	state := func() (out string) {
		if err := p.Pool().QueryRow(ctx, `select concat_ws('/', (select count(*) from team_members where left_at is null), (select string_agg(state, ',' order by id) from teams),
			(select taken from offer_stock), (select count(*) from refund_requests), (select string_agg(state, ',' order by state) from offers), (select count(*) from effects))`).Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	step := func(row int64, turn int) {
		t.Helper()
		before := state()
		taker.Store = &crashes{p.Store, 2}
		for range 2 {
			if _, err := taker.Advance(ctx, row, turn); err == nil || state() != before {
				t.Fatalf("%v: %s, before %s", err, state(), before)
			}
		}
		taker.Store = &crashes{p.Store, 0}
		first, err := taker.Advance(ctx, row, turn)
		if err != nil {
			t.Fatal(err)
		}
		after := state()
		again, err := taker.Advance(ctx, row, turn)
		if err != nil || len(again.Sends) != len(first.Sends) || state() != after {
			t.Fatalf("asked again it answers %+v, %v: %s, after %s", again, err, state(), after)
		}
		p.paid()
	}
	rows := p.orders(map[string]string{"a": ""})
	step(rows["a"], 1)
	code := p.team("a").Code
	for _, m := range []string{"b", "c", "d"} {
		step(p.orders(map[string]string{m: code})[m], 1)
	}
	if got := state(); !strings.HasPrefix(got, "4/formed,open/4/0/") {
		t.Fatal(got)
	}
	p.route()
	step(rows["a"], 2)
	p.later(26 * time.Hour)
	step(p.rows(map[string]string{"b": ""})["b"], 2)
	step(p.rows(map[string]string{"d": ""})["d"], 2)
	if got := state(); !strings.HasPrefix(got, "4/formed,failed/3/1/lapsed,taken,taken,taken/") {
		t.Fatal(got)
	}
}

// refundOf is the claim of the refund of a member's order.
func (p *party) refundOf(member string) campaign.Outgoing {
	p.t.Helper()
	var key string
	if err := p.Pool().QueryRow(p.t.Context(), "select key from refund_requests where member = $1", member).Scan(&key); err != nil {
		p.t.Fatal(err)
	}
	list, err := p.Outgoing(p.t.Context(), key)
	if err != nil || len(list) != 1 {
		p.t.Fatalf("%d claims, %v", len(list), err)
	}
	return list[0]
}

// A refund is claimed with the turn that decided it and settled once; what the shop has not
// taken for certain a person is asked about; and what the shop tells later settles everything.
func TestRefunds(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newParty(t, buying, &store.DemoClock{Factor: 2})
	ends := map[string]struct {
		end      campaign.Attempt
		settled  string
		state    campaign.RefundState
		reviewed int
	}{
		"accepted": {campaign.Attempt{State: campaign.SendSent, ProviderID: "re-1"}, "sent settled ", campaign.RefundAccepted, 0},
		"refused":  {campaign.Attempt{State: campaign.SendRefused, Reason: "http_404"}, "refused refused http_404", campaign.RefundRefused, 1},
		"failed":   {campaign.Attempt{State: campaign.SendFailed, Reason: "connection_refused"}, "failed failed connection_refused", campaign.RefundFailed, 1},
		"unknown":  {campaign.Attempt{State: campaign.SendUnknown, Reason: campaign.ReasonUnknown}, "unknown unknown outcome_unknown", campaign.RefundUnknown, 1},
	}
	codes := map[string]string{}
	for m := range ends {
		codes[m] = ""
	}
	rows := p.orders(codes)
	for _, row := range rows {
		p.turn(row, 1)
	}
	offer := func(m string) store.Offer {
		t.Helper()
		list, err := p.MemberOffers(ctx, m)
		if err != nil || len(list) != 1 {
			t.Fatalf("%d offers, %v", len(list), err)
		}
		return list[0]
	}
	if o := offer("refused"); o.State != campaign.OfferOpen || o.Order != "o-refused" || o.Paid.Minor != 38000 || o.Team == nil || o.Team.Code != p.team("refused").Code ||
		o.Team.Size != 5 || o.Team.Joined != 1 || o.Team.State != campaign.TeamOpen || o.Refund != nil {
		t.Errorf("while she waits: %+v, %+v", o, o.Team)
	}
	p.later(26 * time.Hour)
	for m, row := range rows {
		result := p.turn(row, 2)
		if len(result.Sends) != 1 || result.Sends[0].Channel != campaign.ChannelRefund || result.Outcome != "failed" {
			t.Fatalf("%s: %+v", m, result)
		}
	}
	settled := func(key string) (out string) {
		t.Helper()
		if err := p.Pool().QueryRow(ctx, "select m.state || ' ' || e.state || ' ' || m.reason from messages m join effects e using (key) where key = $1", key).Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for m, c := range ends {
		o := p.refundOf(m)
		if o.Kind != campaign.KindRefund || !o.Deadline.IsZero() || o.Settled || o.InDoubt || settled(o.Key) != "claimed claimed " || offer(m).Refund.State != campaign.RefundAsked {
			t.Fatalf("%+v", o)
		}
		// The worker dies while it asks: nobody knows what the shop has got.
		for range 2 {
			if err := p.Trying(ctx, campaign.ChannelRefund, o.Key); err != nil {
				t.Fatal(err)
			}
			if o = p.refundOf(m); !o.InDoubt {
				t.Errorf("%+v", o)
			}
		}
		c.end.Of, c.end.Channel = &o, campaign.ChannelRefund
		for range 2 {
			if err := p.Record(ctx, c.end); err != nil {
				t.Fatal(err)
			}
		}
		if got := settled(o.Key); got != c.settled {
			t.Errorf("%s: settled as %q, want %q", m, got, c.settled)
		}
		got := offer(m)
		if got.State != campaign.OfferLapsed || got.Team == nil || got.Team.State != campaign.TeamFailed || got.Refund == nil || got.Refund.State != c.state ||
			got.Refund.Order != "o-"+m || got.Refund.Amount.Minor != 38000 {
			t.Errorf("%s: %+v %+v %+v", m, got, got.Team, got.Refund)
		}
		if n := p.count(`select count(*) from reviews where kind = 'not_refunded' and member = $1 and state = 'open'`, m); n != c.reviewed {
			t.Errorf("%s: %d reviews", m, n)
		}
	}
	r, err := p.Report(ctx, "together")
	if err != nil || len(r.Refunds) != 1 {
		t.Fatalf("%v %+v", err, r.Refunds)
	}
	if x := r.Refunds[0]; x.Asked != 4 || x.Accepted != 1 || x.Refused != 2 || x.Unknown != 1 || x.Confirmed != 0 || x.Waiting != 0 {
		t.Errorf("the report says %+v", x)
	}
	unknown, err := p.UnknownMessages(ctx, 10)
	if err != nil || len(unknown) != 1 || unknown[0].Channel != campaign.ChannelRefund {
		t.Errorf("the doctor finds %+v, %v", unknown, err)
	}

	// The shop tells of all of them, of one twice.
	var told []campaign.Event
	for m := range ends {
		for i := range 2 {
			told = append(told, campaign.Event{
				ID: fmt.Sprintf("back-%s-%d", m, i), Type: campaign.EventOrderRefunded, Member: m, Time: time.Now().UTC(), Properties: json.RawMessage(fmt.Sprintf(`{"order":"o-%s"}`, m)),
			})
		}
	}
	if _, err := p.StoreEvents(ctx, told); err != nil {
		t.Fatal(err)
	}
	p.route()
	for m, row := range rows {
		p.looks(row)
		o := p.refundOf(m)
		if got := settled(o.Key); got != "sent settled " || offer(m).Refund.State != campaign.RefundConfirmed || offer(m).Refund.ConfirmedAt.IsZero() {
			t.Errorf("%s: settled as %q, %+v", m, got, offer(m).Refund)
		}
		// A late answer to the request changes nothing any more.
		if err := p.Record(ctx, campaign.Attempt{Of: &o, Channel: campaign.ChannelRefund, State: campaign.SendRefused, Reason: "http_409"}); err != nil || settled(o.Key) != "sent settled " {
			t.Errorf("%s: %v, %s", m, err, settled(o.Key))
		}
	}
	if n := p.count(`select count(*) from reviews where kind = 'not_refunded' and state <> 'withdrawn'`); n != 0 {
		t.Errorf("%d reviews stay open", n)
	}
	if n := p.count(`select count(*) from trace where kind = 'refunded'`); n != len(ends) {
		t.Errorf("%d lines tell that the money is back", n)
	}
	if r, err = p.Report(ctx, "together"); err != nil || r.Refunds[0].Confirmed != 4 || r.Refunds[0].Unknown+r.Refunds[0].Refused+r.Refunds[0].Accepted != 0 || r.Refunds[0].ConfirmedAmount.Amount != "1520.00" {
		t.Errorf("%v: the report says %+v", err, r.Refunds)
	}
	p.paid()
}

// Who is paid back by the shop before her team is complete gives her place and her piece of
// stock back, and nobody is asked to pay her back once more; the next one leads.
func TestPaidBackBeforeTheTeamIsComplete(t *testing.T) {
	t.Parallel()
	p := newParty(t, buying, nil)
	ctx := t.Context()
	a := p.orders(map[string]string{"a": ""})["a"]
	p.turn(a, 1)
	code := p.team("a").Code
	b := p.orders(map[string]string{"b": code})["b"]
	p.turn(b, 1)
	if _, err := p.StoreEvents(ctx, []campaign.Event{{
		ID: "back", Type: campaign.EventOrderRefunded, Member: "a", Time: time.Now().UTC(), Properties: json.RawMessage(`{"order":"o-a"}`),
	}}); err != nil {
		t.Fatal(err)
	}
	p.route()
	p.turn(a, 2)
	p.paid()
	if team := p.team("b"); team.Joined != 1 || !team.Leader || team.State != campaign.TeamOpen || p.team("a").LeftAt.IsZero() {
		t.Errorf("%+v", team)
	}
	if taken, refunds := p.count(`select taken from offer_stock`), p.count(`select count(*) from refund_requests`); taken != 1 || refunds != 0 {
		t.Errorf("%d taken, %d refunds", taken, refunds)
	}
	// She may order again, and the same order told once more gives her no place.
	if _, err := p.StoreEvents(ctx, []campaign.Event{order("a2", "a", code)}); err != nil {
		t.Fatal(err)
	}
	p.route()
	p.turn(a, 3)
	p.paid()
	if team := p.team("a"); team.Code != code || team.Joined != 2 || team.Leader {
		t.Errorf("%+v", team)
	}
	// Whoever leaves the journey is to be paid back.
	p.tell("left-b", "left", "b")
	p.route()
	if r := p.turn(b, 2); r.Outcome != campaign.OutcomeExited || len(r.Sends) != 1 || r.Sends[0].Channel != campaign.ChannelRefund {
		t.Errorf("%+v", r)
	}
	p.paid()
	if n := p.count(`select count(*) from refund_requests where member = 'b' and reason = 'left_journey' and order_id = 'o-b'`); n != 1 {
		t.Errorf("%d refunds", n)
	}
}

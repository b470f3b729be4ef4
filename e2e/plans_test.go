package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// growing asks PostgreSQL all that a campaign may ask of a member's past.
const growing = `
campaign: growing
title: grows
limits:
  messages_per_member: {times: 20, every: 7d}
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
segments:
  busy: count("lesson.attended", duration("720h")) > 0
offers:
  card: {title: 月卡, price: 199, list_price: 299, lock: 2d, per_member: 3}
rewards:
  gift: {points: 10, budget: 1000000, per_member: {times: 5, every: 720h}}
messages:
  welcome: "你好"
  late: "再见"
journeys:
  way:
    start: {on: order.paid, when: 'event.offer == "trial" && sum("order.paid", "amount", duration("720h")) >= money("1.00")'}
    goal: {on: order.paid, when: event.offer == "none"}
    steps:
      - send: welcome
      - grant: gift
      - await: lesson.attended
        for: 7d
      - offer: card
        announce: late
        taken:
          - end: taken
  other:
    start: {segment: busy}
    goal: {on: order.paid, when: event.offer == "none"}
    steps:
      - send: late
`

// unwatched keeps autovacuum away: whether it comes in the middle of what follows, and to
// which tables, is chance. What it would do is done below at moments of our own.
const unwatched = `do $$ declare t record; begin
	for t in select relname from pg_stat_user_tables loop
		execute format('alter table %I set (autovacuum_enabled = off)', t.relname);
	end loop;
end $$`

// What one member costs does not depend on how many others there are, also on a
// connection whose plans were made while the tables were empty. What counts is how many
// rows PostgreSQL reads.
func TestPlansMadeOnEmptyTablesStayRight(t *testing.T) {
	const (
		crowd = 20_000
		few   = 12
	)
	for _, c := range []struct {
		name     string
		drive    campaign.Drive
		analysed bool // while nothing waited to be sent, as between two campaigns
	}{{"members", campaign.DriveMembers, false}, {"slices", campaign.DriveSlices, false}, {"slices, analysed", campaign.DriveSlices, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newKeeperOf(t, growing, c.drive)
			k.exec(unwatched)
			view, err := k.store.Campaign(k.ctx, "growing")
			if err != nil {
				t.Fatal(err)
			}
			for i := range few {
				k.course(view.Clock, "early-"+strconv.Itoa(i))
			}
			if c.analysed {
				k.exec(`analyze`)
				k.course(view.Clock, "analysed")
			}
			k.crowd(crowd)
			before := k.rowsRead()
			for i := range few {
				k.course(view.Clock, "late-"+strconv.Itoa(i))
			}
			// At the latest when it ends a connection tells what it has counted.
			k.store.Close()
			k.until("its connections end", func() bool {
				return k.count(`select count(*) from pg_stat_activity where datname = current_database() and application_name = 'banyan'`) == 0
			})
			for table, n := range k.rowsRead() {
				read := n - before[table]
				t.Logf("%s: %d rows read", table, read)
				// A question that reads the crowd reads it again for each of the few. Below that
				// is what they left behind: an index keeps what was deleted until vacuum comes,
				// and how often it is met on the way is chance.
				if read >= crowd {
					t.Errorf("for %d members among %d, %d rows of %s were read", few, crowd, read, table)
				}
			}
		})
	}
}

// course takes a member through all of the campaign, as router and worker do.
func (k *keeper) course(clock campaign.Clock, member string) {
	k.t.Helper()
	for i, event := range []func(at time.Time) campaign.Event{
		func(at time.Time) campaign.Event { return paid(member+"-trial", member, "trial", "9.90", at) },
		func(at time.Time) campaign.Event { return attended(member+"-lesson", member, at) },
		func(at time.Time) campaign.Event { return paid(member+"-card", member, "card", "199.00", at) },
	} {
		k.tell(event(clock.At(time.Now())))
		k.enter(member)
		if _, err := k.advance(int64(k.count(`select id from journeys where member = $1 and journey is not distinct from 'way'`, member)), i+1); err != nil {
			k.t.Fatal(err)
		}
		k.sendAll(member)
		if _, err := k.store.Deliver(k.ctx, 100, func([]store.Delivery) []store.Undelivered { return nil }); err != nil {
			k.t.Fatal(err)
		}
	}
	if got := k.text(`select string_agg(journey || ' ' || status || ' ' || outcome, ', ' order by journey) from journeys where member = $1`, member); got != "other done completed, way done taken" &&
		got != "other active , way done taken" {
		k.t.Fatalf("%s: %s", member, got)
	}
}

func (k *keeper) sendAll(member string) {
	k.t.Helper()
	var slices []int
	var keys []string
	if err := k.pool.QueryRow(k.ctx, `select coalesce(array_agg(distinct slice) filter (where slice is not null), '{}'), coalesce(array_agg(key), '{}')
		from messages where member = $1 and state is not distinct from 'claimed'`, member).Scan(&slices, &keys); err != nil {
		k.t.Fatal(err)
	}
	for _, slice := range slices {
		if _, err := k.store.OutgoingInSlice(k.ctx, slice, "webhook", 10); err != nil {
			k.t.Fatal(err)
		}
		if _, err := k.store.NextInSlice(k.ctx, slice); err != nil {
			k.t.Fatal(err)
		}
	}
	list, err := k.store.Outgoing(k.ctx, keys...)
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.store.Trying(k.ctx, "webhook", keys...); err != nil {
		k.t.Fatal(err)
	}
	attempts := make([]campaign.Attempt, len(list))
	for i := range list {
		attempts[i] = campaign.Attempt{Of: &list[i], Channel: "webhook", State: campaign.SendSent}
	}
	if err := k.store.Record(k.ctx, attempts...); err != nil {
		k.t.Fatal(err)
	}
}

// crowd makes many members like the first one: half are under way and wait, with a
// message to be sent, half are through. Nothing is analysed.
func (k *keeper) crowd(n int) {
	k.t.Helper()
	k.pool.Reset() // from now on the test's own questions are planned anew
	conn, err := k.pool.Acquire(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Release()
	for _, q := range []string{
		`insert into members (id, joined_at, event_seq, last_stored) select 'crowd-' || i, joined_at, event_seq, last_stored from members, generate_series(1, $1) i where id = 'early-0'`,
		`insert into events (id, member, seq, type, time, stored_at, properties)
			select 'crowd-' || i || '-' || seq, 'crowd-' || i, seq, type, time, stored_at, properties from events, generate_series(1, $1) i where member = 'early-0'`,
		`insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, turn, cursor, step, step_name, listens, wait_until, status, outcome, entered_by, start_event, slice, due_at, entered_at, ended_at)
			select campaign, version, digest, journey, 'crowd-' || i, entry, workflow_id || '-' || i, state, turn, cursor, step, step_name, '{order.paid,lesson.attended}', now() + interval '90 days',
			case when i % 2 = 0 then 'active' else 'done' end, outcome, entered_by, start_event || i, slice, case when slice is not null and i % 4 = 0 then now() + interval '1 day' end, entered_at, ended_at
			from journeys, generate_series(1, $1) i where member = 'early-0'`,
		`insert into effects (key, kind, journey, turn, state)
			select e.key || '-' || i, e.kind, c.id, e.turn, e.state from effects e join journeys j on j.id = e.journey and j.member = 'early-0', generate_series(1, $1) i
			join journeys c on c.member = 'crowd-' || i and c.journey = 'way'`,
		`insert into messages (key, campaign, version, journey, member, step, name, kind, bodies, state, slice, via, due_at, at)
			select m.key || '-' || i, m.campaign, m.version, c.id, c.member, m.step, m.name, m.kind, m.bodies, case when i % 2 = 0 then 'claimed' else 'sent' end,
			m.slice, m.via, case when m.slice is not null and i % 2 = 0 then now() end, m.at
			from messages m, generate_series(1, $1) i join journeys c on c.member = 'crowd-' || i and c.journey = 'way' where m.member = 'early-0' and m.journey <> c.id
			and exists (select from effects e where e.key = m.key || '-' || i)`,
		`insert into offers (id, key, campaign, version, offer, journey, member, step, state, price, list_price, currency, opened_at, expires_at)
			select o.id || '-' || i, o.key || '-' || i, o.campaign, o.version, o.offer, c.id, c.member, o.step, 'open', o.price, o.list_price, o.currency, o.opened_at, o.expires_at
			from offers o, generate_series(1, $1) i join journeys c on c.member = 'crowd-' || i and c.journey = 'way' where o.member = 'early-0'`,
		`insert into trace (journey, turn, at, step, kind, params, campaign, version)
			select c.id, t.turn, t.at, t.step, t.kind, t.params, t.campaign, t.version from trace t join journeys j on j.id = t.journey and j.member = 'early-0', generate_series(1, $1) i
			join journeys c on c.member = 'crowd-' || i and c.journey = 'way'`,
		`insert into turns (journey, turn, result) select id, 1, '{}' from journeys where member like 'crowd-%' and $1 > 0`,
		`insert into grants (key, campaign, version, reward, member, journey, step, points, state, at)
			select g.key || '-' || i, g.campaign, g.version, g.reward, c.member, c.id, g.step, g.points, g.state, g.at
			from grants g, generate_series(1, $1) i join journeys c on c.member = 'crowd-' || i and c.journey = 'way' where g.member = 'early-0'`,
		`insert into ledger_accounts (asset, kind, owner) select 'points', 'member', 'crowd-' || i from generate_series(1, $1) i`,
		`insert into intents (kind, member, event, due_at) select 'event', 'crowd-' || i, 'crowd-' || i || '-1', now() + interval '1 day' from generate_series(1, $1) i`,
		`insert into intents (kind, journey, due_at) select 'poke', id, now() + interval '1 day' from journeys where member like 'crowd-%' and $1 > 0`,
	} {
		if _, err := conn.Exec(k.ctx, q, n); err != nil {
			k.t.Fatal(q, err)
		}
	}
	for _, table := range []string{"members", "events", "journeys", "effects", "messages", "offers", "trace", "grants", "intents"} {
		var have int
		if err := conn.QueryRow(k.ctx, "select count(*), pg_stat_force_next_flush() from "+table).Scan(&have, nil); err != nil || have < n {
			k.t.Fatalf("of %s there are only %d: %v", table, have, err)
		}
	}
}

// rowsRead counts the rows that were read so far, by table.
func (k *keeper) rowsRead() map[string]int {
	k.t.Helper()
	conn, err := k.pool.Acquire(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(k.ctx, `select pg_stat_force_next_flush()`); err != nil {
		k.t.Fatal(err)
	}
	rows, err := conn.Query(k.ctx, `select t.relname, t.seq_tup_read + coalesce((select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid), 0)::bigint from pg_stat_user_tables t`)
	if err != nil {
		k.t.Fatal(err)
	}
	read := map[string]int{}
	for rows.Next() {
		var (
			table string
			n     int
		)
		if err := rows.Scan(&table, &n); err != nil {
			k.t.Fatal(err)
		}
		read[table] = n
	}
	if err := rows.Err(); err != nil {
		k.t.Fatal(err)
	}
	return read
}

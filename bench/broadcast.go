package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/rules"
)

func broadcastBench() *benchmark {
	return &benchmark{
		name: "broadcast", title: "one message to everybody, by slices",
		about: "A segment lets all members in, and each gets one message through the channel that shows nobody. Beside it, a loop in one process without Temporal: " +
			"read 500 members, render, write the messages down, deliver them, write down that they are sent.",
		sizes: []size{
			{name: "members", about: "members who get the message", usual: 20_000, short: 200, full: 1_000_000},
			{name: "rounds", about: "times that each is measured", usual: 2, short: 1, full: 1},
		},
		run: runBroadcast,
	}
}

const broadcastText = "{{ member.name }}，周六团课八折，报名请回复“团课”。"

const broadcastCampaign = `
campaign: broadcast
title: one message to everybody
member:
  name: string
segments:
  everybody: member.points >= 0
messages:
  news: "` + broadcastText + `"
journeys:
  one:
    start: {segment: everybody}
    goal: {on: order.paid, when: "false"}
    steps:
      - send: news
events:
  order.paid: {order: string, offer: string, amount: money}
`

func runBroadcast(ctx context.Context, r *run) (err error) {
	h, err := openHouse(ctx, r, devstack.StorePostgres)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	n := r.size("members")
	if _, err := h.pool.Exec(ctx, `insert into members (id, joined_at, attributes) select 'm-' || i, now(), '{"name":"小明"}' from generate_series(1, $1::int) i`, n); err != nil {
		return fmt.Errorf("make the members: %w", err)
	}
	if _, err := h.hand.Exec(ctx, `insert into members (id, name) select 'm-' || i, '小明' from generate_series(1, $1::int) i`, n); err != nil {
		return fmt.Errorf("make the members: %w", err)
	}
	of := number(float64(n)) + " members"
	const slicesBy, loopBy = "Banyan, drive: slices", "a loop in one process"
	if err := rounds(r.size("rounds"),
		func(round int) error { return h.broadcastLoop(ctx, of, loopBy, round) },
		func(int) error { return h.broadcast(ctx, of, slicesBy, n) },
	); err != nil {
		return err
	}
	longest, err := h.longest(ctx, "Slice")
	if err != nil {
		return err
	}
	r.add(of, "longest history", slicesBy, "events", float64(longest))
	r.atMost(of, "events in the longest history", float64(longest), longestHistory)
	return nil
}

const sentRate = "messages a second"

// broadcast lets Banyan send to everybody and ends the campaign.
func (h *house) broadcast(ctx context.Context, of, by string, n int) (err error) {
	c, err := h.start(roleBanyan, h.url)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, c.stop()) }()
	watch := h.watch(c)
	from := h.cost(c)
	name, err := h.submit(ctx, driven(broadcastCampaign, "slices"), nil)
	if err != nil {
		return err
	}
	if err := until(ctx, 100*time.Millisecond, h.pool, int64(n), `select count(*) from messages where campaign = $1 and state = 'sent'`, name); err != nil {
		return err
	}
	to := h.cost(c)
	memory := watch()
	h.run.add(of, sentRate, by, "", float64(n)/to.at.Sub(from.at).Seconds())
	h.run.addCPU(of, by, from, to, n)
	memory.note(h.run, of, by)
	return h.store.End(ctx, name, false)
}

// broadcastLoop is what somebody writes who needs it once.
func (h *house) broadcastLoop(ctx context.Context, of, by string, round int) error {
	set, channel, err := quiet()
	if err != nil {
		return err
	}
	via, _ := set.Get(channel)
	env, issues := rules.New(&campaign.Definition{
		Language: 1, Name: "loop", Timezone: "Asia/Shanghai", Currency: "CNY", Member: []campaign.Property{{Name: "name", Type: campaign.TypeString}},
	})
	if len(issues) > 0 {
		return fmt.Errorf("declare the member: %v", issues)
	}
	text, issues := env.CompileTemplate(broadcastText, rules.Scope{})
	if len(issues) > 0 {
		return fmt.Errorf("compile the message: %v", issues)
	}
	journey := fmt.Sprintf("news-%d", round)
	if _, err := h.hand.Exec(ctx, `insert into journeys (id, member, status) values ($1, '', 'active')`, journey); err != nil {
		return fmt.Errorf("write down the broadcast: %w", err)
	}
	began, n, after := time.Now(), 0, ""
	for {
		rows, err := h.hand.Query(ctx, `select id, name from members where id > $1 order by id limit 500`, after)
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		type member struct{ ID, Name string }
		page, err := pgx.CollectRows(rows, pgx.RowToStructByPos[member])
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		if len(page) == 0 {
			break
		}
		keys, members, bodies := make([]string, len(page)), make([]string, len(page)), make([]string, len(page))
		for i, m := range page {
			name, err := json.Marshal(m.Name)
			if err != nil {
				return fmt.Errorf("read a name: %w", err)
			}
			if bodies[i], err = text.Render(&rules.Facts{Now: began, Member: &campaign.Member{ID: m.ID, Attributes: map[string]json.RawMessage{"name": name}}}); err != nil {
				return fmt.Errorf("render: %w", err)
			}
			keys[i], members[i] = journey+"/"+m.ID, m.ID
		}
		if _, err := h.hand.Exec(ctx, `insert into messages (key, journey, member, name, body, sent_at)
			select k, $1, m, 'news', b, 'infinity' from unnest($2::text[], $3::text[], $4::text[]) as u (k, m, b)`, journey, keys, members, bodies); err != nil {
			return fmt.Errorf("write the messages down: %w", err)
		}
		for i := range page {
			if _, err := via.Deliver(ctx, channels.Message{Key: keys[i], Channel: channel, Journey: journey, Name: "news", Member: members[i], Body: bodies[i]}); err != nil {
				return err
			}
		}
		if _, err := h.hand.Exec(ctx, `update messages set sent_at = clock_timestamp() where key = any ($1)`, keys); err != nil {
			return fmt.Errorf("write down what was sent: %w", err)
		}
		n, after = n+len(page), page[len(page)-1].ID
	}
	h.run.add(of, sentRate, by, "", float64(n)/time.Since(began).Seconds())
	return nil
}

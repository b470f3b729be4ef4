package judge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// clock is a campaign's: it runs factor times as fast as the real one since it was started.
type clock struct {
	factor      int64
	real, start time.Time
}

func (c clock) at(moment time.Time) time.Time {
	return c.start.Add(moment.Sub(c.real) * time.Duration(c.factor)).Truncate(time.Microsecond)
}

type journey struct {
	ID                        int64
	Campaign, Name, Member    string
	Version, Entry            int
	Workflow, Status, Outcome string
	Goal, StartEvent          *string
	EnteredAt, CreatedAt      time.Time
	Holdout, Sliced           bool
}

type message struct {
	Key, Campaign, Member, Name, Body, State, Reason, Channel string
	Version                                                   int
	Journey                                                   int64
	Attempts                                                  int
	At                                                        time.Time
	Deadline                                                  *time.Time
	Effect                                                    string
}

type heldOffer struct {
	ID, Campaign, Member, Name, State string
	Journey                           int64
	Price, List                       int64
	Opened                            time.Time
	Expires, Grace, Closed            *time.Time
	Order                             *string
	Paid                              *int64
}

type review struct{ Campaign, Kind, Member, Offer, Event string }

type grant struct {
	Key, Campaign, Reward, Member, State, Reason string
	Points                                       int64
}

type member struct {
	ID     string
	Tags   []string
	Points int64
}

// held is what the tables say.
type held struct {
	clocks   map[string]clock
	events   map[string]*stored
	of       map[string][]*stored
	journeys []journey
	messages []message
	offers   []heldOffer
	reviews  []review
	grants   []grant
	members  map[string]member
	stock    map[string][2]int   // taken and stock by campaign/offer
	budgets  map[string][2]int64 // used and cap by campaign/reward
}

func rows[T any](ctx context.Context, tx pgx.Tx, sql string, scan func(pgx.CollectableRow) (T, error)) ([]T, error) {
	found, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, scan)
}

// read reads everything in one snapshot.
func read(ctx context.Context, db *pgx.Conn) (*held, error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	h := &held{
		clocks: map[string]clock{}, events: map[string]*stored{}, of: map[string][]*stored{}, members: map[string]member{},
		stock: map[string][2]int{}, budgets: map[string][2]int64{},
	}
	for _, part := range []func(context.Context, pgx.Tx) error{h.readCampaigns, h.readEvents, h.readJourneys, h.readEffects, h.readBooks} {
		if err := part(ctx, tx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *held) readCampaigns(ctx context.Context, tx pgx.Tx) error {
	_, err := rows(ctx, tx, `select name, clock_factor, clock_real, clock_start from campaigns`, func(r pgx.CollectableRow) (struct{}, error) {
		var name string
		var c clock
		err := r.Scan(&name, &c.factor, &c.real, &c.start)
		h.clocks[name] = c
		return struct{}{}, err
	})
	return err
}

func (h *held) readEvents(ctx context.Context, tx pgx.Tx) error {
	list, err := rows(ctx, tx, `select id, type, member, time, properties, seq, stored_at from events order by member, seq`,
		func(r pgx.CollectableRow) (*stored, error) {
			var e stored
			var properties []byte
			if err := r.Scan(&e.ID, &e.Type, &e.Member, &e.Time, &properties, &e.seq, &e.stored); err != nil {
				return nil, err
			}
			e.Properties = json.RawMessage(properties)
			return &e, e.read()
		})
	for _, e := range list {
		if h.events[e.ID] != nil {
			return fmt.Errorf("event %s is stored twice", e.ID)
		}
		h.events[e.ID] = e
		h.of[e.Member] = append(h.of[e.Member], e)
	}
	return err
}

func (h *held) readJourneys(ctx context.Context, tx pgx.Tx) (err error) {
	if h.journeys, err = rows(ctx, tx, `
		select j.id, j.campaign, j.journey, j.member, j.version, j.entry, coalesce(s.workflow_id, j.workflow_id), j.status, j.outcome, j.goal_event,
		       j.start_event, j.entered_at, j.created_at, j.holdout, j.slice is not null
		  from journeys j left join slices s on s.id = j.slice`,
		func(r pgx.CollectableRow) (j journey, err error) {
			return j, r.Scan(&j.ID, &j.Campaign, &j.Name, &j.Member, &j.Version, &j.Entry, &j.Workflow, &j.Status, &j.Outcome, &j.Goal,
				&j.StartEvent, &j.EnteredAt, &j.CreatedAt, &j.Holdout, &j.Sliced)
		}); err != nil {
		return err
	}
	members, err := rows(ctx, tx, `select id, tags, points from members`, func(r pgx.CollectableRow) (m member, err error) {
		return m, r.Scan(&m.ID, &m.Tags, &m.Points)
	})
	for _, m := range members {
		slices.Sort(m.Tags)
		h.members[m.ID] = m
	}
	return err
}

func (h *held) readEffects(ctx context.Context, tx pgx.Tx) (err error) {
	if h.messages, err = rows(ctx, tx, `
		select m.key, m.campaign, m.member, m.name, m.bodies -> 0 ->> 'body', m.state, m.reason, m.channel, m.version, m.journey, m.attempts,
		       m.at, m.deadline, e.state
		  from messages m join effects e using (key)`,
		func(r pgx.CollectableRow) (m message, err error) {
			return m, r.Scan(&m.Key, &m.Campaign, &m.Member, &m.Name, &m.Body, &m.State, &m.Reason, &m.Channel, &m.Version, &m.Journey, &m.Attempts,
				&m.At, &m.Deadline, &m.Effect)
		}); err != nil {
		return err
	}
	if h.offers, err = rows(ctx, tx, `
		select id, campaign, member, offer, state, journey, price, list_price, opened_at, expires_at, grace_until, closed_at, order_id, paid from offers`,
		func(r pgx.CollectableRow) (o heldOffer, err error) {
			return o, r.Scan(&o.ID, &o.Campaign, &o.Member, &o.Name, &o.State, &o.Journey, &o.Price, &o.List, &o.Opened, &o.Expires, &o.Grace,
				&o.Closed, &o.Order, &o.Paid)
		}); err != nil {
		return err
	}
	h.reviews, err = rows(ctx, tx, `select campaign, kind, member, offer, event from reviews`, pgx.RowToStructByPos[review])
	return err
}

func (h *held) readBooks(ctx context.Context, tx pgx.Tx) (err error) {
	if h.grants, err = rows(ctx, tx, `select key, campaign, reward, member, state, reason, points from grants`, pgx.RowToStructByPos[grant]); err != nil {
		return err
	}
	if _, err = rows(ctx, tx, `select campaign || '/' || offer, taken, stock from offer_stock`, func(r pgx.CollectableRow) (struct{}, error) {
		var name string
		var n [2]int
		err := r.Scan(&name, &n[0], &n[1])
		h.stock[name] = n
		return struct{}{}, err
	}); err != nil {
		return err
	}
	_, err = rows(ctx, tx, `select campaign || '/' || reward, used, cap from budget_balances where day = ''`, func(r pgx.CollectableRow) (struct{}, error) {
		var name string
		var n [2]int64
		err := r.Scan(&name, &n[0], &n[1])
		h.budgets[name] = n
		return struct{}{}, err
	})
	return err
}

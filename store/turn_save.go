package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Save writes, when the page ends, what a turn decided. result is what the driver is
// told: a workflow of its own may ask for it again and is answered the same; of a
// slice's member it says when she falls due.
func (t *TurnTx) Save(turn int, d *campaign.Decision, result *campaign.TurnResult) error {
	for _, write := range []func(int, *campaign.Decision) error{t.saveOffers, t.saveSends, t.saveRefundRequests, t.saveMember, t.saveReferrals, t.saveReviews, t.saveGivenUp, t.saveExposures, t.saveRefunds, t.saveTrace} {
		if err := write(turn, d); err != nil {
			return err
		}
	}
	t.saveJourney(turn, d, result)
	if result.Turn != turn || t.row.Slice != nil {
		return nil
	}
	data, err := json.Marshal(result)
	if err != nil {
		return err
	}
	c := &t.page.columns.turns
	c.journey, c.turn, c.result = append(c.journey, t.row.ID), append(c.turn, int32(turn)), append(c.result, string(data))
	return nil
}

// PutOff writes, when the page ends, when a slice's member with whom nothing happened
// falls due again; negative: when something does.
func (t *TurnTx) PutOff(wait time.Duration) {
	if t.row.Slice == nil {
		return
	}
	c := &t.page.columns.idle
	c.id, c.due = append(c.id, t.row.ID), append(c.due, t.due(wait))
}

func (t *TurnTx) due(wait time.Duration) *time.Time {
	if t.row.Slice == nil || wait < 0 {
		return nil
	}
	at := t.row.RealNow.Add(wait)
	return &at
}

func (t *TurnTx) saveOffers(turn int, d *campaign.Decision) error {
	for i := range d.Offers {
		o := &d.Offers[i]
		if ordered, err := t.saveOrdered(o); ordered || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		if o.State != campaign.OfferOpen {
			t.closeOffer(o)
			continue
		}
		if o.Reopened {
			if err := t.page.queued.ReopenOffer(context.Background(), o.ID); err != nil {
				return err
			}
			t.page.reopened = append(t.page.reopened, o.ID)
			continue
		}
		t.claim(o.Key, "offer", "settled", turn)
		c := &t.page.columns.offers
		c.id, c.key, c.campaign = append(c.id, o.ID), append(c.key, o.Key), append(c.campaign, t.row.Campaign)
		c.offer, c.member, c.step = append(c.offer, o.Offer), append(c.member, t.row.Member), append(c.step, o.Step)
		c.currency, c.version, c.journey = append(c.currency, string(o.Price.Currency)), append(c.version, t.version(d, i, offersBefore)), append(c.journey, t.row.ID)
		c.price, c.list, c.opened = append(c.price, o.Price.Minor), append(c.list, o.ListPrice.Minor), append(c.opened, o.OpenedAt)
		c.expires, c.grace = append(c.expires, orNull(o.ExpiresAt)), append(c.grace, orNull(o.GraceUntil))
	}
	return nil
}

// closeOffer gives an offer its last state. One that opened in this very turn, or opened
// again, is not open in the table yet and is closed after it has been.
func (t *TurnTx) closeOffer(o *campaign.OfferEffect) {
	var (
		order *string
		paid  *int64
	)
	if o.State == campaign.OfferTaken {
		order, paid = &o.Order, &o.Paid.Minor
	}
	if slices.Contains(t.page.columns.offers.id, o.ID) || slices.Contains(t.page.reopened, o.ID) {
		_ = t.page.queued.CloseOffer(context.Background(), db.CloseOfferParams{
			ID: o.ID, State: string(o.State), ClosedAt: orNull(o.ClosedAt), OrderID: order, Paid: paid,
		}) // only queued
		return
	}
	c := &t.page.columns.closes
	c.id, c.state, c.closed = append(c.id, o.ID), append(c.state, string(o.State)), append(c.closed, orNull(o.ClosedAt))
	c.order, c.paid = append(c.order, order), append(c.paid, paid)
}

func (t *TurnTx) claim(key, kind, state string, turn int) {
	c := &t.page.columns.effects
	c.key, c.kind, c.state = append(c.key, key), append(c.kind, kind), append(c.state, state)
	c.journey, c.turn = append(c.journey, t.row.ID), append(c.turn, int32(turn))
}

func (t *TurnTx) saveSends(turn int, d *campaign.Decision) error {
	for i := range d.Sends {
		s := &d.Sends[i]
		t.claim(s.Key, "send", "claimed", turn)
		bodies, err := json.Marshal(s.Bodies)
		if err != nil {
			return err
		}
		c := &t.page.columns.messages
		c.key, c.campaign, c.member = append(c.key, s.Key), append(c.campaign, t.row.Campaign), append(c.member, t.row.Member)
		c.step, c.name, c.kind = append(c.step, s.Step), append(c.name, s.Message), append(c.kind, string(s.Kind))
		c.bodies, c.via, c.version = append(c.bodies, string(bodies)), append(c.via, s.Bodies[0].Channel), append(c.version, t.version(d, i, sendsBefore))
		c.journey, c.at, c.deadline = append(c.journey, t.row.ID), append(c.at, s.At), append(c.deadline, orNull(s.Deadline))
		c.slice = append(c.slice, t.row.Slice)
	}
	return nil
}

// saveMember queues statements for single rows: an error of theirs comes when the page ends.
func (t *TurnTx) saveMember(_ int, d *campaign.Decision) error {
	c := d.Member
	if c.Empty() {
		return nil
	}
	attributes := json.RawMessage("{}")
	if len(c.Set) > 0 {
		var err error
		if attributes, err = json.Marshal(c.Set); err != nil {
			return err
		}
	}
	return t.page.queued.ChangeMember(context.Background(), notNull(c.AddTags), notNull(c.RemoveTags), attributes, t.row.Member)
}

func (t *TurnTx) saveReviews(_ int, d *campaign.Decision) error {
	for i := range d.Reviews {
		r := &d.Reviews[i]
		if r.State != campaign.ReviewOpen {
			if err := t.page.queued.CloseReview(context.Background(), string(r.State), &r.At, r.Key); err != nil {
				return err
			}
			continue
		}
		detail := []byte("{}")
		if len(r.Detail) > 0 {
			var err error
			if detail, err = json.Marshal(r.Detail); err != nil {
				return err
			}
		}
		if err := t.page.queued.OpenReview(context.Background(), db.OpenReviewParams{
			Key: r.Key, Kind: string(r.Kind), Campaign: t.row.Campaign, Journey: t.row.ID, Member: t.row.Member,
			Step: r.Step, Offer: r.Offer, Event: r.Event, Detail: detail, At: r.At, Role: r.Role, Backup: r.Backup, About: r.About,
			Otherwise: string(r.Otherwise), EscalatesAt: orNull(r.EscalatesAt), ClosesAt: orNull(r.ClosesAt),
		}); err != nil {
			return err
		}
	}
	return nil
}

func (t *TurnTx) saveExposures(_ int, d *campaign.Decision) error {
	c := &t.page.columns.exposures
	for _, x := range d.Exposures {
		c.split, c.arm, c.at = append(c.split, x.Split), append(c.arm, x.Arm), append(c.at, x.At)
		c.campaign, c.member = append(c.campaign, t.row.Campaign), append(c.member, t.row.Member)
		c.version, c.journey = append(c.version, t.row.Version), append(c.journey, t.row.ID)
	}
	return nil
}

func (t *TurnTx) saveTrace(turn int, d *campaign.Decision) error {
	at := len(d.Trace)
	if d.Migrated.Moves() {
		at = d.Migrated.Trace
	}
	if err := t.page.columns.trace.add(t.row.ID, turn, t.row.Campaign, t.row.Version, d.Trace[:at]); err != nil {
		return err
	}
	return t.page.columns.trace.add(t.row.ID, turn, t.row.Campaign, t.version(d, at, traceBefore), d.Trace[at:])
}

// version is the version whose step decided something. In a turn that moves the journey
// to another version the first of each sort are of the one that it left.
func (t *TurnTx) version(d *campaign.Decision, i int, of func(*campaign.Migrated) int) int32 {
	if d.Migrated.Moves() && i >= of(d.Migrated) {
		return int32(d.Migrated.Version)
	}
	return t.row.Version
}

func sendsBefore(m *campaign.Migrated) int  { return m.Sends }
func offersBefore(m *campaign.Migrated) int { return m.Offers }
func traceBefore(m *campaign.Migrated) int  { return m.Trace }

func (t *TurnTx) saveJourney(turn int, d *campaign.Decision, result *campaign.TurnResult) {
	c := &t.page.columns.journeys
	status, ended := "active", t.row.EndedAt
	if d.Done() {
		if status = "done"; ended == nil {
			ended = &t.now
		}
	}
	c.id, c.state, c.turn, c.cursor = append(c.id, t.row.ID), append(c.state, string(d.State)), append(c.turn, int32(turn)), append(c.cursor, d.Cursor)
	c.step, c.name, c.summary = append(c.step, d.Step), append(c.name, d.StepName), append(c.summary, d.Summary)
	c.listens, c.wait = append(c.listens, strings.Join(d.Listens, ",")), append(c.wait, orNull(d.WaitUntil))
	c.status, c.outcome, c.ended = append(c.status, status), append(c.outcome, d.Outcome), append(c.ended, ended)
	c.due = append(c.due, t.due(result.Wait))
	version, digest := t.row.Version, t.row.Digest
	if m := d.Migrated; m.Moves() {
		version, digest = int32(m.Version), m.Digest
	}
	c.version, c.digest = append(c.version, version), append(c.digest, digest)
	var (
		at    *time.Time
		event *string
		minor *int64
	)
	if g := d.Goal; g != nil {
		at, event, minor = &g.At, &g.Event, &g.Value.Minor
	}
	c.goalAt, c.goalEvent, c.goalMinor = append(c.goalAt, at), append(c.goalEvent, event), append(c.goalMinor, minor)
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func notNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

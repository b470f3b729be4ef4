package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Intent is something that the router has still to do.
type Intent struct {
	ID      int64
	Kind    IntentKind
	Member  string
	Journey int64
	// Campaign is set in kind points: it alone has still to judge the event, for points alone.
	Campaign string
	Event    *StoredEvent // kind event, team, referral and points
	Created  time.Time
	// Again says that it was routed before and done in part, see Later.
	Again bool
}

// IntentKind is the sort of an intent.
type IntentKind string

// Kinds of intent.
const (
	IntentEvent  IntentKind = "event"  // an event was stored
	IntentMember IntentKind = "member" // a member changed
	IntentTeam   IntentKind = "team"   // her team is complete; it is a stored event when it is routed
	// IntentReferral: somebody whom she brought came to another state; as of a team.
	IntentReferral IntentKind = "referral"
	IntentPoints   IntentKind = "points" // a campaign that was paused has still to give points for an event
	IntentStart    IntentKind = "start"  // a journey's workflow is to be started
	IntentPoke     IntentKind = "poke"   // a journey is to look again
	IntentSlice    IntentKind = "slice"  // somebody of a slice is due
	// IntentRecheck lets a journey look again because its campaign was resumed or ended,
	// as all the others of the campaign do: the one kind of which there are suddenly many.
	IntentRecheck IntentKind = "recheck"
)

// RouteTx is the open transaction of a batch of event, member and team intents: the intents
// are locked against other routers, their members against turns and further events.
type RouteTx struct {
	EntryTx
	Intents []Intent
	later   []int64
	held    []int64 // they wait for a campaign to go on
	sealer  func(context.Context) (*sealer, error)
}

// IntentError is a batch of intents that could not be routed. Of a batch of one it names
// the intent.
type IntentError struct {
	First Intent
	err   error
}

// Error says why.
func (e *IntentError) Error() string { return e.err.Error() }

// Unwrap gives the reason.
func (e *IntentError) Unwrap() error { return e.err }

// Route takes up to most intents of kind event, member and team and hands them to do. They
// are done when do succeeds, and stay for the next try when it does not. It answers
// how many there were.
func (s *Store) Route(ctx context.Context, most int, do func(*RouteTx) error) (n int, err error) {
	err = s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		rows, err := q.IntentsToRoute(ctx, int32(most))
		if n = len(rows); err != nil || n == 0 {
			return err
		}
		t := &RouteTx{EntryTx: EntryTx{tx: tx, q: q}, sealer: s.sealer}
		if err := t.load(ctx, rows); err != nil {
			return &IntentError{t.Intents[0], err}
		}
		if err := do(t); err != nil {
			return &IntentError{t.Intents[0], err}
		}
		ids := make([]int64, len(rows))
		for i := range rows {
			ids[i] = rows[i].ID
		}
		if len(t.later) > 0 {
			if err := q.PostponeIntents(ctx, routeLater.Seconds(), t.later); err != nil {
				return err
			}
		}
		return q.DropIntents(ctx, minus(minus(ids, t.later), t.held))
	})
	return n, translate(err, "route events")
}

// routeLater is when an intent is looked at again that could be done in part only.
const routeLater = time.Minute

// Later keeps an intent, to be routed again. What it has done so far stands; doing it
// again changes nothing: a journey is started once by an event, and a poke carries nothing.
func (t *RouteTx) Later(in *Intent) { t.later = append(t.later, in.ID) }

// load reads what the intents are about. They are known themselves even if that fails.
func (t *RouteTx) load(ctx context.Context, rows []db.Intent) error {
	var members, events []string
	var news, referrals []int64
	for _, r := range rows {
		in := Intent{ID: r.ID, Kind: IntentKind(r.Kind), Created: r.CreatedAt, Campaign: r.Campaign, Again: r.Parted}
		if r.Member != nil {
			in.Member = *r.Member
			members = append(members, in.Member)
		}
		if r.Event != nil {
			in.Event = &StoredEvent{Event: campaign.Event{ID: *r.Event}}
			events = append(events, *r.Event)
		}
		if in.Kind == IntentTeam {
			news = append(news, in.ID)
		}
		if in.Kind == IntentReferral {
			referrals = append(referrals, in.ID)
		}
		t.Intents = append(t.Intents, in)
	}
	if err := t.lock(ctx, members); err != nil || len(events) == 0 {
		return err
	}
	if len(news) > 0 {
		if err := t.q.StoreNewsOfTeams(ctx, newsOfTeam, news, campaign.EventTeamFormed); err != nil {
			return err
		}
	}
	if len(referrals) > 0 {
		if err := t.q.StoreNewsOfReferrals(ctx, newsOfReferral, referrals); err != nil {
			return err
		}
	}
	found, err := t.q.EventsByID(ctx, events)
	if err != nil {
		return err
	}
	byID := make(map[string]db.EventsByIDRow, len(found))
	for _, e := range found {
		byID[e.ID] = e
	}
	for i := range t.Intents {
		if in := &t.Intents[i]; in.Event != nil {
			e := byID[in.Event.ID]
			in.Event.Event = campaign.Event{ID: e.ID, Type: e.Type, Member: e.Member, Time: e.Time, Properties: e.Properties, Seq: e.Seq}
			in.Event.Stored = e.StoredAt
		}
	}
	return t.redeemPaid(ctx)
}

const (
	// The journeys that listen to one of these events, each with the first such event.
	listeningSQL = `
select distinct on (j.id) j.id, j.status = 'done', j.campaign, j.wait_until, j.slice, i.event
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as i (member, type, event, place)
  join journeys j on j.member = i.member and i.type = any(j.listens)
 order by j.id, i.place`

	pokeSQL = `
insert into intents (kind, campaign, journey, event)
select 'poke', campaign, journey, event from unnest($1::text[], $2::bigint[], $3::text[]) as i (campaign, journey, event)`
)

// Poke wakes every journey that listens to one of the batch's events: one with a
// workflow of its own is left a poke, one of a slice is due, and its slice is woken.
// A journey that is over still listens until its horizon, for what comes too late.
func (t *RouteTx) Poke(ctx context.Context, running []RunningCampaign) error {
	var members, types, events []string
	for i := range t.Intents {
		if e := t.Intents[i].Event; e != nil && t.Intents[i].Kind != IntentPoints {
			members, types, events = append(members, e.Member), append(types, e.Type), append(events, e.ID)
		}
	}
	if len(members) == 0 {
		return nil
	}
	now := make(map[string]time.Time, len(running))
	for _, c := range running {
		now[c.Name] = c.Now
	}
	found, err := t.tx.Query(ctx, listeningSQL, members, types, events)
	if err != nil {
		return err
	}
	var (
		poked struct {
			campaign, event []string
			journey         []int64
		}
		due   []int64
		woken []int32

		row         int64
		done        bool
		name, event string
		horizon     *time.Time
		slice       *int32
	)
	if _, err := pgx.ForEachRow(found, []any{&row, &done, &name, &horizon, &slice, &event}, func() error {
		at, runs := now[name]
		switch {
		case done && horizon != nil && runs && at.After(*horizon):
		case slice == nil:
			poked.campaign, poked.journey, poked.event = append(poked.campaign, name), append(poked.journey, row), append(poked.event, event)
		default:
			if due = append(due, row); !slices.Contains(woken, *slice) {
				woken = append(woken, *slice)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if len(poked.journey) > 0 {
		if _, err := t.tx.Exec(ctx, pokeSQL, poked.campaign, poked.journey, poked.event); err != nil {
			return err
		}
	}
	if len(due) == 0 {
		return nil
	}
	if err := t.q.DueNow(ctx, due); err != nil {
		return err
	}
	return t.q.AddSliceIntents(ctx, woken)
}

package starter

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/codes"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// Router carries stored events to the journeys that they start or concern, again and
// again until it is done. Any number of routers may run at once.
//
// It works in two halves. The first decides in PostgreSQL alone: whom an event lets in
// and whose journey wants to hear it, leaving starts and pokes. The second brings
// those to Temporal. While Temporal is away the first half goes on, and nothing is lost.
type Router struct {
	Store  *store.Store
	Taker  *turn.Taker
	Client client.Client
	Log    *slog.Logger
	// Watch is told what the router does; nil: nobody watches.
	Watch Watch
	// Follow puts a delivery into the trace of the event that caused it; nil: nothing is
	// traced.
	Follow func(ctx context.Context, event string) context.Context

	tended sync.Map // the version, by its digest, of each campaign that tend has seen
}

// Watch is told what a router does, for instance to count it. It is called from several
// goroutines.
type Watch interface {
	Routed(n int, done bool)                    // events and changed members
	Delivered(kind store.IntentKind, done bool) // a start or a poke
	HeldUp(campaign string)                     // events are kept for a campaign that cannot be loaded
}

type nobody struct{}

func (nobody) Routed(int, bool)                 {}
func (nobody) Delivered(store.IntentKind, bool) {}
func (nobody) HeldUp(string)                    {}

func (r *Router) watch() Watch {
	if r.Watch == nil {
		return nobody{}
	}
	return r.Watch
}

const (
	// routeBatch is how many events one transaction routes: enough to spread the cost of
	// the commit, few enough that the locked members do not wait long.
	routeBatch = 500
	// routerPoll is how often a router looks without having been woken. Notifications
	// may be lost, and a postponed intent falls due without one.
	routerPoll = time.Second
	// tendEvery is how often campaigns are looked after: their workflows started, drained
	// ones ended.
	tendEvery = 2 * time.Second
	// expireAtOnce is how many reservations of points are given back, or coupons expired, in
	// one transaction.
	expireAtOnce = 200
	// levelsAtOnce is how many members' levels are looked at in one.
	levelsAtOnce = 200
	// sweepSpan is for how long a sweep goes on before campaigns are looked after again.
	sweepSpan = 2 * time.Second
	// forgetAtOnce is how many old counts of what receivers got are dropped in one.
	forgetAtOnce = 5_000
)

// Route works what platforms told, and decides what events and changed members call for, until
// ctx is done: the first half.
func (r *Router) Route(ctx context.Context) error {
	// Nobody waits for a migration to the second, so what wakes the others does not wake it.
	return r.woken(ctx, func(woken <-chan struct{}) { r.loop(ctx, "route", routerPoll, woken, r.route) },
		func(<-chan struct{}) { r.loop(ctx, "migrate", routerPoll, nil, r.migrate) },
		func(woken <-chan struct{}) { r.loop(ctx, "callbacks", routerPoll, woken, r.callbacks) })
}

// migrate does some pages of each migration that is under way.
func (r *Router) migrate(ctx context.Context) (int, error) {
	n, err := r.Taker.Migrate(ctx)
	if n > 0 {
		r.Store.Notify()
	}
	return n, err
}

// Deliver brings what was decided to Temporal, and looks after campaigns, until ctx is
// done: the second half. In a process with a worker that shares the router's client, a
// journey's first step is taken right there.
func (r *Router) Deliver(ctx context.Context) error {
	return r.woken(ctx, func(woken <-chan struct{}) { newCourier(r).run(ctx, woken) }, func(<-chan struct{}) { r.loop(ctx, "tend", tendEvery, nil, r.tend) })
}

// woken runs parts of a router that are woken when PostgreSQL says that there is work.
func (r *Router) woken(ctx context.Context, parts ...func(woken <-chan struct{})) error {
	var all sync.WaitGroup
	channels := make([]chan struct{}, len(parts))
	for i, part := range parts {
		channels[i] = make(chan struct{}, 1)
		all.Go(func() { part(channels[i]) })
	}
	all.Go(func() {
		for range r.Store.Listen(ctx) {
			for _, c := range channels {
				wake(c)
			}
		}
	})
	all.Wait()
	return nil
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look anyway
	}
}

// loop works until there is nothing to do, then waits to be woken.
func (r *Router) loop(ctx context.Context, name string, every time.Duration, woken <-chan struct{}, work func(context.Context) (int, error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		n, err := work(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			r.Log.WarnContext(ctx, "router held up", "half", name, "code", campaign.CodeOf(err), "error", err)
		case n > 0:
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-woken:
		}
	}
}

// route decides for one batch of events and changed members. Should one of them be
// impossible to read or to decide, the others are taken one by one and only that one is put
// aside. That is a fault of ours or of the database, so it waits for something to be mended,
// and not for luck.
func (r *Router) route(ctx context.Context) (int, error) {
	n, err := r.routeSome(ctx, routeBatch)
	if err != nil && campaign.CodeOf(err) != campaign.CodeUnavailable && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "a batch of events could not be routed; taking them one by one", "error", err)
		n, err = r.oneByOne(ctx)
	}
	if err == nil && n > 0 {
		r.watch().Routed(n, true)
		r.Store.Notify()
	}
	return n, err
}

func (r *Router) oneByOne(ctx context.Context) (done int, err error) {
	for range routeBatch {
		n, err := r.routeSome(ctx, 1)
		var at *store.IntentError
		switch {
		case err == nil && n == 0:
			return done, nil
		case err == nil:
			done++
		case campaign.CodeOf(err) == campaign.CodeUnavailable || !errors.As(err, &at) || ctx.Err() != nil:
			return done, err
		default:
			r.Log.ErrorContext(ctx, "an event could not be routed; it is put aside and tried again", "intent", at.First.ID, "kind", at.First.Kind, "error", err)
			r.watch().Routed(1, false)
			if err := r.Store.PutAside(ctx, at.First.ID, err.Error()); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

func (r *Router) routeSome(ctx context.Context, most int) (int, error) {
	return r.Store.Route(ctx, most, func(tx *store.RouteTx) error {
		return r.Taker.Route(ctx, tx, func(broken *turn.BrokenError) {
			r.Log.ErrorContext(ctx, "a campaign cannot be loaded by this build; its events are kept", "campaign", broken.Campaign, "error", broken)
			r.watch().HeldUp(broken.Campaign)
		})
	})
}

// tend looks after campaigns: one whose journeys start by segment or by schedule has a
// workflow that sweeps over the members, and one that has drained is ended. Points that
// were reserved for too long go back to their members, those that are past their end leave
// them, coupons past their end expire, what reservations of offers hold for too long is there
// again, and levels fall that were kept for a time alone.
func (r *Router) tend(ctx context.Context) (int, error) {
	if _, err := r.Store.EndDrained(ctx); err != nil {
		return 0, err
	}
	// What cannot be swept now holds up no campaign.
	sweeper := &turn.Sweeper{Taker: r.Taker, Store: r.Store}
	more := 0
	for _, s := range []struct {
		what   string
		atOnce int
		do     func(context.Context, int) (int, error)
	}{
		{"reservations that have expired", expireAtOnce, r.Store.ExpireRedemptions},
		{"points that have expired", expireAtOnce, r.Store.ExpirePoints},
		{"reservations of offers that have expired", expireAtOnce, r.Store.ExpireReservations},
		{"coupons that have expired", expireAtOnce, r.Store.ExpireCoupons},
		{"counts of what receivers got", forgetAtOnce, r.Store.ForgetSends},
		{"messages that took permits long ago", forgetAtOnce, r.Store.ForgetPermitUses},
		{"callbacks that were done long ago", expireAtOnce, r.Store.ForgetCallbacks},
		{"levels that may have changed", levelsAtOnce, sweeper.Levels},
	} {
		if r.sweep(ctx, sweepSpan, s.what, s.atOnce, s.do) {
			more++
		}
	}
	running, err := r.Store.RunningCampaigns(ctx)
	if err != nil {
		return 0, err
	}
	for _, c := range running {
		program, err := r.Taker.Programs.Program(ctx, r.Store, c.Digest)
		if err != nil || len(program.StartsBySegment())+len(program.Schedules()) == 0 {
			continue // one that cannot be loaded is told of by whoever routes an event
		}
		if err := r.sweepWorkflow(ctx, c.Name); err != nil {
			return 0, err
		}
		// A sweep of the version before may be asleep for an hour.
		if seen, _ := r.tended.Load(c.Name); seen != c.Digest {
			if err := r.pokeSweep(ctx, c.Name); err != nil {
				return 0, err
			}
			r.tended.Store(c.Name, c.Digest)
		}
	}
	return more, nil
}

// sweep goes on for as long as it finds as much as it takes at a time, but no longer than
// span, and reports whether there may be more: a million things that end at a moment keep no
// campaign waiting. An error tells of what could not be swept; what else was found has been.
func (r *Router) sweep(ctx context.Context, span time.Duration, what string, atOnce int, do func(context.Context, int) (int, error)) (more bool) {
	told := false
	for end := time.Now().Add(span); ; {
		n, err := do(ctx, atOnce)
		if err != nil && ctx.Err() == nil && !told {
			r.Log.WarnContext(ctx, "not swept for now", "what", what, "code", campaign.CodeOf(err), "error", err)
			told = true
		}
		switch {
		case n < atOnce || ctx.Err() != nil:
			return false
		case !time.Now().Before(end):
			return true
		}
	}
}

func (r *Router) sweepWorkflow(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	_, err := r.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       campaign.SweepWorkflowID(name),
		TaskQueue:                campaign.TaskQueueJourneys,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            name + " · members whom a segment lets in",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(campaign.AttributeCampaign).ValueSet(name),
		),
	}, campaign.WorkflowCampaign, campaign.SweepInput{Campaign: name})
	return err
}

func (r *Router) pokeSweep(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	return r.Client.SignalWorkflow(ctx, campaign.SweepWorkflowID(name), "", campaign.SignalPoke, nil)
}

// Bind binds a member to the inviter whose code she brings.
func (r *Router) Bind(ctx context.Context, b *turn.Binding) (out *store.Referral, err error) {
	err = r.Store.InBinding(ctx, b.Code, b.Invitee, b.Marks, func(tx *store.ReferralTx) error {
		out, err = r.Taker.Bind(ctx, tx, b)
		return err
	})
	return out, err
}

// Issue gives a member the code by which she brings others.
func (r *Router) Issue(ctx context.Context, campaignName, member string, marks store.ReferralMarks) (out store.ReferralCode, err error) {
	err = r.Store.InIssuing(ctx, campaignName, member, marks, func(tx *store.ReferralTx) error {
		code, err := r.Taker.Issue(ctx, tx, member, func(length int) (string, error) { return codes.New(rand.Reader, length) })
		if err == nil {
			out = *code
		}
		return err
	})
	return out, err
}

// Enter enters a member into a journey on a caller's word. properties become those of
// `start`.
func (r *Router) Enter(ctx context.Context, campaignName, name, member string, properties json.RawMessage) (EntryResult, error) {
	var out EntryResult
	err := r.Store.InEntry(ctx, []string{member}, func(tx *store.EntryTx) error {
		c, err := tx.Campaign(ctx, campaignName)
		if err != nil {
			return err
		}
		var start *campaign.Event
		if len(properties) > 0 {
			start = &campaign.Event{Type: journey.ByAPI, Member: member, Time: c.Now, Stored: c.Now, Properties: properties}
		}
		e, err := r.Taker.ByAPI(ctx, tx, member, c, name, start)
		if err != nil {
			return err
		}
		out = EntryResult{Entered: e.Row != 0, Reason: e.Why}
		if out.Entered {
			out.ID, out.WorkflowID = e.Row, e.Workflow
		}
		return nil
	})
	return out, err
}

package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"time"

	temporal "go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/telemetry"
	"github.com/banyanhq/banyan/turn"
	"github.com/banyanhq/banyan/worker"
)

type serveCommand struct{}

// Run runs the API server and decides what events call for until it is told to stop.
func (serveCommand) Run(ctx context.Context, e *env) error {
	s, err := readSettings(e)
	if err != nil {
		return err
	}
	return within(ctx, stopLimit, func(ctx context.Context) error { return serve(ctx, &s) })
}

// stopLimit is how long a program may take to stop: what runs containers sends SIGKILL
// after ten seconds unless it is told otherwise, and a program that ends by itself says
// why. Nothing is lost either way: what is decided is in PostgreSQL, and what was under
// way is done again by another process, under the same key.
const stopLimit = 9500 * time.Millisecond

// within runs a program until it has stopped, and no longer than limit after it was
// told to.
func within(ctx context.Context, limit time.Duration, run func(context.Context) error) error {
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	patience := time.NewTimer(limit)
	defer patience.Stop()
	select {
	case err := <-ended:
		return err
	case <-patience.C:
		return campaign.Errorf(campaign.CodeUnavailable, "work was still under way %s after the signal to stop; it is done again by another process", limit)
	}
}

func serve(ctx context.Context, s *settings) error {
	listener, err := listen(ctx, "BANYAN_LISTEN", cmp.Or(s.Listen, defaultListen))
	if err != nil {
		return err
	}
	return serveOn(ctx, s, listener)
}

// serveOn takes over the listener.
func serveOn(ctx context.Context, s *settings, listener net.Listener) error {
	defer func() { _ = listener.Close() }() // the server has, if it came so far
	parts, err := connect(ctx, s, "banyan serve")
	if err != nil {
		return err
	}
	defer parts.close()
	migrated, err := s.prepare(ctx, parts.store)
	if err != nil {
		return err
	}
	router := s.router(parts)
	gauges, err := s.Metrics.Gauges(parts.store, parts.temporal, s.Log)
	if err != nil {
		return err
	}
	server, err := starter.NewServer(starter.Config{
		Store: parts.store, Entrances: router, Temporal: parts.temporal, Log: s.Log, Version: version,
		DemoClock: s.DemoClock, Rate: s.Rate, MaxIntents: s.MaxIntents, Metrics: s.Metrics.Registry, Trace: parts.traces,
		OptOut: s.Links, Callbacks: s.Callbacks, Channels: parts.channels.Names(), Referrals: router, ReferralLinks: s.Referrals,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if err := s.serveMetrics(ctx, group); err != nil {
		return err
	}
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error {
		if !migrated {
			if err := s.awaitMigrations(ctx, parts.store, s.prepare); err != nil {
				return err
			}
		}
		group.Go(func() error { gauges.Run(ctx); return nil })
		return router.Route(ctx)
	})
	return clean(group.Wait())
}

func (s *settings) router(p *parts) *starter.Router {
	return &starter.Router{
		Store: p.store, Client: p.temporal, Log: s.Log,
		Taker: &turn.Taker{Store: p.store, Programs: p.programs, Via: []string{p.channel}},
		Watch: s.Metrics, Follow: p.traces.Following,
	}
}

// prepare makes the database ready for callers. It reports whether it has the tables
// that this build needs.
func (s *settings) prepare(ctx context.Context, db *store.Store) (migrated bool, err error) {
	if migrated, err = hasTables(ctx, db); err != nil || !migrated {
		return false, err
	}
	return true, db.SetBootstrapKey(ctx, s.AdminKey)
}

// hasTables reports whether the database has the tables that this build needs. If it has,
// what the addresses of members are sealed with is there too.
func hasTables(ctx context.Context, db *store.Store) (bool, error) {
	have, need, err := db.Schema(ctx)
	if err != nil || have < need {
		return false, err
	}
	return true, db.SealAddresses(ctx)
}

const migrationPoll = time.Second

// awaitMigrations waits until somebody has migrated the database and it is ready.
// Meanwhile /readyz says what is missing, which a program that ends again and again
// could not.
func (s *settings) awaitMigrations(ctx context.Context, db *store.Store, ready func(context.Context, *store.Store) (bool, error)) error {
	tick := time.NewTicker(migrationPoll)
	defer tick.Stop()
	for told := false; ; told = true {
		// PostgreSQL may go away meanwhile, and come back.
		migrated, err := ready(ctx, db)
		if campaign.CodeOf(err) == campaign.CodeUnavailable && !errors.Is(err, store.ErrSealed) {
			migrated = false // so far as it is known
		}
		switch {
		case migrated && told:
			s.Log.InfoContext(ctx, "the database has been migrated")
			return err
		case migrated:
			return err
		case !told && err != nil:
			s.Log.WarnContext(ctx, "whether the database has been migrated cannot be found out; trying again", "code", campaign.CodeOf(err), "error", err)
		case !told:
			s.Log.WarnContext(ctx, "the database lacks migrations; run banyan migrate")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// serveMetrics shows the metrics where BANYAN_METRICS_LISTEN says, if it does.
func (s *settings) serveMetrics(ctx context.Context, group *errgroup.Group) error {
	if s.MetricsAt == "" {
		return nil
	}
	listener, err := listen(ctx, "BANYAN_METRICS_LISTEN", s.MetricsAt)
	if err != nil {
		return err
	}
	group.Go(func() error { return starter.ServeMetrics(ctx, listener, s.Metrics.Registry, s.Log) })
	return nil
}

type workerCommand struct{}

// Run runs a worker until it is told to stop: it brings journeys to Temporal, takes their
// turns and sends their messages. With BANYAN_LISTEN it answers probes there.
func (workerCommand) Run(ctx context.Context, e *env) error {
	s, err := readSettings(e)
	if err != nil {
		return err
	}
	return within(ctx, stopLimit, func(ctx context.Context) error { return work(ctx, &s) })
}

func work(ctx context.Context, s *settings) error {
	parts, err := connect(ctx, s, "banyan worker")
	if err != nil {
		return err
	}
	defer parts.close()
	group, ctx := errgroup.WithContext(ctx)
	if s.Listen != "" {
		listener, err := listen(ctx, "BANYAN_LISTEN", s.Listen)
		if err != nil {
			return err
		}
		probes := starter.NewProbes(starter.Config{Store: parts.store, Temporal: parts.temporal, Log: s.Log, Version: version})
		group.Go(func() error { return probes.Serve(ctx, listener) })
	}
	if err := s.serveMetrics(ctx, group); err != nil {
		return err
	}
	group.Go(func() error {
		return worker.Run(ctx, worker.Config{
			Store: parts.store, Client: parts.temporal, Channels: parts.channels, Default: parts.channel, Programs: parts.programs, Log: s.Log,
			Measure: func(a *activities.Activities) {
				s.Metrics.Activities(a)
				parts.traces.Activities(a)
			},
		})
	})
	group.Go(func() error {
		// A worker may come up before PostgreSQL does.
		if err := s.awaitMigrations(ctx, parts.store, hasTables); err != nil {
			return err
		}
		return s.router(parts).Deliver(ctx)
	})
	return clean(group.Wait())
}

// parts are what both programs stand on.
type parts struct {
	store    *store.Store
	temporal temporal.Client
	channels channels.Set
	channel  string // the default one
	programs *turn.Cache
	traces   *telemetry.Traces
}

func connect(ctx context.Context, s *settings, name string) (*parts, error) {
	p := parts{programs: turn.NewCache()}
	var err error
	// What is wrong with a channel is told before anything is connected.
	if _, _, err = all.Build(s.Channels); err != nil {
		return nil, err
	}
	if p.traces, err = telemetry.NewTraces(ctx, s.getenv, strings.ReplaceAll(name, " ", "-"), version); err != nil {
		return nil, err
	}
	if p.store, err = store.Open(ctx, s.DatabaseURL, store.WithApplicationName(name), store.WithTracer(p.traces.SQL())); err != nil {
		return nil, err
	}
	store.WithAddressKeys(p.store, s.AddressKeys)
	shared := &worker.Accounts{Store: p.store}
	s.Channels.WecomApp.Account.Tokens, s.Channels.WecomApp.Limiter = shared, shared
	s.Channels.OfficialAccount.Account.Tokens = shared
	s.Channels.MiniProgram.Account.Tokens, s.Channels.MiniProgram.Permits = shared, shared
	if p.channels, p.channel, err = all.Build(s.Channels); err != nil {
		p.store.Close()
		return nil, err
	}
	if err := s.Metrics.Pool(name, p.store.PoolStats); err != nil {
		p.store.Close()
		return nil, err
	}
	// Lazy: the API accepts events while Temporal is away, from its first moment on.
	options := s.Temporal
	if options.Interceptors, err = p.traces.Temporal(); err != nil {
		p.store.Close()
		return nil, err
	}
	if p.temporal, err = temporal.NewLazyClient(options); err != nil {
		p.store.Close()
		return nil, campaign.Errorf(campaign.CodeInvalid, "set up the connection to Temporal: %w", err)
	}
	return &p, nil
}

func (p *parts) close() {
	p.temporal.Close()
	p.store.Close()
	p.traces.Close()
}

func listen(ctx context.Context, setting, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "listen on %s (%s): %w", address, setting, err)
	}
	return listener, nil
}

// clean lets an ordinary stop be no failure.
func clean(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

package main

import (
	"context"
	"errors"
	"net"

	temporal "go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
	"github.com/banyanhq/banyan/worker"
)

type serveCommand struct{}

// Run runs the API server and the router until it is told to stop.
func (serveCommand) Run(ctx context.Context, e *env) error {
	s, err := readSettings(e)
	if err != nil {
		return err
	}
	return serve(ctx, &s)
}

func serve(ctx context.Context, s *settings) error {
	listener, err := listen(ctx, s.Listen, defaultListen)
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
	if err := parts.store.SetBootstrapKey(ctx, s.AdminKey); err != nil {
		return err
	}
	router := &starter.Router{
		Store: parts.store, Client: parts.temporal, Log: s.Log,
		Taker: &turn.Taker{Store: parts.store, Programs: turn.NewCache(), Via: []string{parts.channel}},
	}
	server, err := starter.NewServer(starter.Config{
		Store: parts.store, Entrances: router, Temporal: parts.temporal, Log: s.Log, Version: version,
		DemoClock: s.DemoClock, Rate: s.Rate,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error { return router.Run(ctx) })
	return clean(group.Wait())
}

type workerCommand struct{}

// Run runs a worker until it is told to stop. With BANYAN_LISTEN it answers probes
// there.
func (workerCommand) Run(ctx context.Context, e *env) error {
	s, err := readSettings(e)
	if err != nil {
		return err
	}
	return work(ctx, &s)
}

func work(ctx context.Context, s *settings) error {
	parts, err := connect(ctx, s, "banyan worker")
	if err != nil {
		return err
	}
	defer parts.close()
	group, ctx := errgroup.WithContext(ctx)
	if s.Listen != "" {
		listener, err := listen(ctx, s.Listen, "")
		if err != nil {
			return err
		}
		probes := starter.NewProbes(starter.Config{Store: parts.store, Temporal: parts.temporal, Log: s.Log, Version: version})
		group.Go(func() error { return probes.Serve(ctx, listener) })
	}
	group.Go(func() error {
		return worker.Run(ctx, worker.Config{
			Store: parts.store, Client: parts.temporal, Channels: parts.channels, Default: parts.channel, Log: s.Log,
		})
	})
	return clean(group.Wait())
}

// parts are what both programs stand on.
type parts struct {
	store    *store.Store
	temporal temporal.Client
	channels channels.Set
	channel  string // the default one
}

func connect(ctx context.Context, s *settings, name string) (*parts, error) {
	var p parts
	var err error
	if p.channels, p.channel, err = all.Build(s.Channels); err != nil {
		return nil, err
	}
	if p.store, err = store.Open(ctx, s.DatabaseURL, store.WithApplicationName(name)); err != nil {
		return nil, err
	}
	// Lazy: the API accepts events while Temporal is away, from its first moment on.
	if p.temporal, err = temporal.NewLazyClient(s.Temporal); err != nil {
		p.store.Close()
		return nil, campaign.Errorf(campaign.CodeInvalid, "set up the connection to Temporal: %w", err)
	}
	return &p, nil
}

func (p *parts) close() {
	p.temporal.Close()
	p.store.Close()
}

func listen(ctx context.Context, address, otherwise string) (net.Listener, error) {
	if address == "" {
		address = otherwise
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "listen on %s (BANYAN_LISTEN): %w", address, err)
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

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/console"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
	"github.com/banyanhq/banyan/worker"
)

// Roles of the processes that a benchmark starts.
const (
	roleBanyan = "banyan" // a router and a worker, as `banyan dev` has them in one process
	roleHand   = "hand"   // the worker of the hand-written service
)

// play is the whole program in one of the roles. It ends when its standard input does.
func play(ctx context.Context, role string) error {
	if file := os.Getenv(envProfile); file != "" {
		stop, err := profile(file)
		if err != nil {
			return err
		}
		defer stop()
	}
	v, err := tune(os.Getenv(envTuning))
	if err != nil {
		return err
	}
	options := client.Options{HostPort: os.Getenv(envTemporal), Logger: silent{}}
	note, err := v.apply(&options)
	if err != nil {
		return err
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return fmt.Errorf("connect to Temporal: %w", err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		obey()
		cancel()
		return nil
	})
	group.Go(func() error {
		if role == roleHand {
			return playHand(ctx, c)
		}
		return playBanyan(ctx, c, note)
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// obey does what is asked for by a line, until there are no more.
func obey() {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "collect" {
			runtime.GC()
			debug.FreeOSMemory()
		}
		fmt.Println(in.Text())
	}
}

func profile(file string) (stop func(), err error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("make the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("start the profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// quiet is the channel of all that is compared: it takes messages and shows nobody.
func quiet() (channels.Set, string, error) {
	return all.Build(all.Config{Console: console.Config{Out: io.Discard, Quiet: true}})
}

func warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// playBanyan is a router and a worker. measure may see the activities before they are
// registered.
func playBanyan(ctx context.Context, c client.Client, measure func(*activities.Activities)) error {
	set, channel, err := quiet()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, os.Getenv(envDatabase))
	if err != nil {
		return err
	}
	defer s.Close()
	programs := turn.NewCache()
	router := &starter.Router{
		Store: s, Client: c, Log: warnings(), Taker: &turn.Taker{Store: s, Programs: programs, Via: []string{channel}},
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return router.Route(ctx) })
	group.Go(func() error { return router.Deliver(ctx) })
	group.Go(func() error {
		return worker.Run(ctx, worker.Config{Store: s, Client: c, Channels: set, Default: channel, Programs: programs, Log: warnings(), Measure: measure})
	})
	fmt.Println("ready")
	return group.Wait()
}

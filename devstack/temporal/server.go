package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// pollInterval is the pause between two looks at a condition that is about to come true.
const pollInterval = 20 * time.Millisecond

// server is everything that runs in this process.
type server struct {
	temporal temporal.Server
	ui       *uiserver.Server // nil without a web UI
}

// start brings up the store, the server and the web UI, and returns when all answer.
func start(ctx context.Context, opts options) (*server, error) {
	logger := log.NewZapLogger(log.BuildZapLogger(log.Config{Level: opts.logLevel}))

	persistence, err := openStore(opts)
	if err != nil {
		return nil, err
	}
	conf, err := serverConfig(ctx, opts, persistence)
	if err != nil {
		return nil, err
	}

	authorizer, err := authorization.GetAuthorizerFromConfig(&conf.Global.Authorization)
	if err != nil {
		return nil, fmt.Errorf("build the authorizer: %w", err)
	}
	claims, err := authorization.GetClaimMapperFromConfig(&conf.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("build the claim mapper: %w", err)
	}
	temporalServer, err := temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(staticHosts(conf)),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamicConfig()),
	)
	if err != nil {
		return nil, fmt.Errorf("build the server: %w", err)
	}
	if err := temporalServer.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	running := &server{temporal: temporalServer}

	if err := prepareNamespace(ctx, conf.PublicClient.HostPort, opts); err != nil {
		_ = running.stop(stopGrace) // the first error is the one worth telling
		return nil, err
	}
	if opts.uiPort != 0 {
		if err := running.startUI(ctx, opts, conf.PublicClient.HostPort); err != nil {
			_ = running.stop(stopGrace)
			return nil, err
		}
	}
	return running, nil
}

// staticHosts replaces gossip membership: everybody is in this process.
func staticHosts(conf *config.Config) map[primitives.ServiceName]static.Hosts {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, service := range conf.Services {
		address := net.JoinHostPort(loopback, strconv.Itoa(service.RPC.GRPCPort))
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(address)
	}
	return hosts
}

// startUI serves the web UI. It comes after the server on purpose: a UI that is first
// answers its first call with the connection error of its own back-off.
func (s *server) startUI(ctx context.Context, opts options, temporalAddress string) error {
	s.ui = uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                opts.ip,
		Port:                opts.uiPort,
		TemporalGRPCAddress: temporalAddress,
		DefaultNamespace:    opts.namespace,
		EnableUI:            true,
		HideLogs:            true,
		// Nothing in a development server should call home.
		DisableNewsFetch: true,
		// The page is served over plain HTTP on loopback.
		CORS: uiconfig.CORS{CookieInsecure: true},
	}))
	go func() {
		// Start logs its own failure and ends the process with it.
		_ = s.ui.Start()
	}()

	url := "http://" + net.JoinHostPort(opts.ip, strconv.Itoa(opts.uiPort)) + "/healthz"
	return poll(ctx, "the web UI to answer", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("build the request: %w", err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("ask %s: %w", url, err)
		}
		defer response.Body.Close() //nolint:errcheck // nothing was read from it
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("ask %s: %s", url, response.Status)
		}
		return nil
	})
}

// stop ends everything, waiting no longer than grace.
func (s *server) stop(grace time.Duration) error {
	stopped := make(chan error, 1)
	go func() {
		if s.ui != nil {
			s.ui.Stop()
		}
		stopped <- s.temporal.Stop()
	}()
	select {
	case err := <-stopped:
		if err != nil {
			return fmt.Errorf("stop the server: %w", err)
		}
	case <-time.After(grace):
		// The process ends now and takes the rest along; see stopGrace.
	}
	return nil
}

// poll repeats check until it succeeds or ctx ends.
func poll(ctx context.Context, what string, check func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", what, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

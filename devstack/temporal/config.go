package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/metrics"
)

const (
	loopback    = "127.0.0.1"
	clusterName = "active"
)

// serverConfig is the static configuration of all services. Only the frontend has a
// port that others know; the rest pick free ones on loopback at every start.
func serverConfig(ctx context.Context, opts options, persistence config.Persistence) (*config.Config, error) {
	frontend := net.JoinHostPort(reachableIP(opts.ip), strconv.Itoa(opts.port))
	conf := &config.Config{
		Persistence: persistence,
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: frontend},
		Services: map[string]config.Service{
			"frontend": {RPC: config.RPC{BindOnIP: opts.ip, GRPCPort: opts.port}},
		},
	}
	conf.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback}
	conf.Archival.History.State = config.ArchivalDisabled
	conf.Archival.Visibility.State = config.ArchivalDisabled
	conf.NamespaceDefaults.Archival.History.State = config.ArchivalDisabled
	conf.NamespaceDefaults.Archival.Visibility.State = config.ArchivalDisabled
	if opts.metricsPort != 0 {
		conf.Global.Metrics = &metrics.Config{Prometheus: &metrics.PrometheusConfig{
			ListenAddress: net.JoinHostPort(loopback, strconv.Itoa(opts.metricsPort)),
			HandlerPath:   "/metrics",
		}}
	}

	taken := map[int]bool{opts.port: true, opts.uiPort: true, opts.metricsPort: true}
	for _, name := range []string{"history", "matching", "worker"} {
		port, err := freePort(ctx, taken)
		if err != nil {
			return nil, fmt.Errorf("find a port for the %s service: %w", name, err)
		}
		taken[port] = true
		conf.Services[name] = config.Service{RPC: config.RPC{BindOnIP: loopback, GRPCPort: port}}
	}
	return conf, nil
}

// dynamicConfig is what differs from the server's defaults, and why. The persistence
// QPS guards stay where they are (history 9,000, matching 3,000, frontend 2,000 queries
// a second): without them a starved machine drowns in its own retries.
func dynamicConfig() dynamicconfig.Client {
	return dynamicconfig.StaticClient{
		// A search attribute that was just added can be used at once.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		// A namespace that was just registered reaches every service soon; tests make one each.
		dynamicconfig.NamespaceCacheRefreshInterval.Key(): 500 * time.Millisecond,
		// Tests and people look at visibility more often than the 10 requests a second of production.
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		// Rehearsals let the server skip the days between two steps …
		dynamicconfig.WorkflowTimeSkippingEnabled.Key(): true,
		// … and each skip costs this shift, one second by default.
		dynamicconfig.TimerProcessorMaxTimeShift.Key(): 20 * time.Millisecond,
		// Nothing in a development server should call home.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
	}
}

// reachableIP is the address at which this process reaches what listens on ip.
func reachableIP(ip string) string {
	if net.ParseIP(ip).IsUnspecified() {
		return loopback
	}
	return ip
}

// Ports come from below the range from which systems give ports to outgoing connections
// (Linux from 32768, macOS from 49152). A client that keeps dialling a loopback port of
// that range while the server is down can be handed the very port it dials, connect to
// itself, and hold the port against the server's return.
const (
	firstPort = 20000
	lastPort  = 32000
)

// freePort finds a loopback port that nobody listens on.
func freePort(ctx context.Context, taken map[int]bool) (int, error) {
	var last error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if taken[port] {
			continue
		}
		if last = checkFree(ctx, loopback, port); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d: %w", firstPort, lastPort, last)
}

// checkFree says whether port can be listened on; 0 means "no port" and always can.
func checkFree(ctx context.Context, ip string, port int) error {
	if port == 0 {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("port %d is taken: %w", port, err)
	}
	if err := listener.Close(); err != nil {
		return fmt.Errorf("free port %d again: %w", port, err)
	}
	return nil
}

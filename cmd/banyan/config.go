package main

import (
	"log/slog"
	"net"
	"strconv"

	"github.com/lmittmann/tint"
	temporal "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/banyanhq/banyan/callbacks"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/optout"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/telemetry"
)

const defaultListen = "127.0.0.1:8080"

// settings are what serve and worker read from the environment, or from files that it
// names. Temporal's own
// (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…) are read by
// its envconfig.
type settings struct {
	DatabaseURL string                // BANYAN_DATABASE_URL
	Listen      string                // BANYAN_LISTEN
	AdminKey    string                // BANYAN_ADMIN_KEY
	DemoClock   bool                  // BANYAN_DEMO_CLOCK=allow
	Rate        float64               // BANYAN_RATE_LIMIT, requests a second for each key
	MaxIntents  int64                 // BANYAN_INTENT_LIMIT, how much may wait for the router
	MetricsAt   string                // BANYAN_METRICS_LISTEN
	Channels    all.Config            // BANYAN_CHANNEL, BANYAN_WEBHOOK_…, BANYAN_MAIL_…, BANYAN_CALL_…, BANYAN_REFUND_…
	Links       optout.Links          // BANYAN_PUBLIC_URL, BANYAN_LINK_SECRET
	Referrals   starter.ReferralLinks // the same, and BANYAN_REFERRAL_HOSTS
	Callbacks   callbacks.Endpoints   // BANYAN_…_CALLBACK_…, BANYAN_WECHATPAY_…
	AddressKeys []store.AddressKey
	Log         *slog.Logger     // BANYAN_LOG: text, json
	Temporal    temporal.Options // TEMPORAL_…
	Metrics     *telemetry.Metrics
	getenv      func(string) string // OTEL_…, for each program's traces
}

func readSettings(e *env) (s settings, err error) {
	r := reader{getenv: e.Getenv}
	s = settings{
		DatabaseURL: r.setting("BANYAN_DATABASE_URL"), Listen: r.setting("BANYAN_LISTEN"), AdminKey: r.setting("BANYAN_ADMIN_KEY"),
		getenv: e.Getenv, Rate: starter.DefaultRate, MaxIntents: starter.DefaultMaxIntents, MetricsAt: r.setting("BANYAN_METRICS_LISTEN"),
	}
	keys, demoClock, rate, intents := r.setting("BANYAN_ADDRESS_KEY"), r.setting("BANYAN_DEMO_CLOCK"), r.setting("BANYAN_RATE_LIMIT"), r.setting("BANYAN_INTENT_LIMIT")
	if r.err != nil {
		return s, r.err
	}
	if s.Channels, s.Links, err = readChannels(e); err != nil {
		return s, err
	}
	if s.Referrals, err = readReferralLinks(e, s.Links.Ready()); err != nil {
		return s, err
	}
	if s.Callbacks, _, err = readCallbacks(e); err != nil {
		return s, err
	}
	if s.AddressKeys, err = store.ParseAddressKeys(keys); err != nil {
		return s, err
	}
	if s.DatabaseURL == "" {
		return s, usageError{"say which database: BANYAN_DATABASE_URL=postgres://…"}
	}
	if s.AdminKey != "" && len(s.AdminKey) < store.MinBootstrapKey {
		return s, usageError{"BANYAN_ADMIN_KEY needs at least " + strconv.Itoa(store.MinBootstrapKey) + " characters"}
	}
	switch demoClock {
	case "", "refuse":
	case "allow":
		s.DemoClock = true
	default:
		return s, usageError{"BANYAN_DEMO_CLOCK is allow or refuse, not " + strconv.Quote(demoClock)}
	}
	if rate != "" {
		if s.Rate, err = strconv.ParseFloat(rate, 64); err != nil || s.Rate <= 0 {
			return s, usageError{"BANYAN_RATE_LIMIT is a number of requests a second, not " + strconv.Quote(rate)}
		}
	}
	if intents != "" {
		if s.MaxIntents, err = strconv.ParseInt(intents, 10, 32); err != nil || s.MaxIntents < 0 {
			return s, usageError{"BANYAN_INTENT_LIMIT is a number of intents, 0 for no limit, not " + strconv.Quote(intents)}
		}
	}
	if s.Log, err = logger(e); err != nil {
		return s, err
	}
	if s.Metrics, err = telemetry.NewMetrics(version, s.Log); err != nil {
		return s, err
	}
	if s.Temporal, err = envconfig.LoadDefaultClientOptions(); err != nil {
		return s, campaign.Errorf(campaign.CodeInvalid, "read Temporal's settings: %w", err)
	}
	s.Temporal.MetricsHandler = s.Metrics.Temporal()
	s.Temporal.Logger = log.NewStructuredLogger(s.Log.With("part", "temporal"))
	return s, nil
}

// logger writes to Stderr: lines for people, JSON where BANYAN_LOG says so.
func logger(e *env) (*slog.Logger, error) {
	r := reader{getenv: e.Getenv}
	value := r.setting("BANYAN_LOG")
	if r.err != nil {
		return nil, r.err
	}
	switch value {
	case "", "text":
		return slog.New(tint.NewTextHandler(e.Stderr, &tint.Options{Level: slog.LevelInfo, NoColor: !e.Color})), nil
	case "json":
		return slog.New(slog.NewJSONHandler(e.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})), nil
	default:
		return nil, usageError{"BANYAN_LOG is text or json, not " + strconv.Quote(value)}
	}
}

// readyURL is where a server on this machine, with this environment, answers probes.
func readyURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		host, port, _ = net.SplitHostPort(defaultListen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/readyz"
}

package starter

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"golang.org/x/time/rate"

	"github.com/banyanhq/banyan/callbacks"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/optout"
	"github.com/banyanhq/banyan/store"
)

// Limits of what one request may bring.
const (
	maxBody   = 8 << 20
	maxBatch  = 1_000
	maxString = 64 << 10
)

// DefaultRate is how many requests a second one key may make; a burst may be twice as
// many. It stops a caller that runs wild, not one that is busy: a batch is one request.
const DefaultRate = 2_000

// Entrances lets members in on a caller's word. The router implements it.
type Entrances interface {
	Enter(ctx context.Context, campaign, journey, member string, properties json.RawMessage) (EntryResult, error)
}

// EntryResult says whether a member entered, and if not, why.
type EntryResult struct {
	ID         int64
	WorkflowID string
	Entered    bool
	Reason     string
}

// TemporalHealth is the part of a Temporal client that /readyz asks.
type TemporalHealth interface {
	CheckHealth(ctx context.Context, request *client.CheckHealthRequest) (*client.CheckHealthResponse, error)
}

// Config is what a server is made of. Store is required.
type Config struct {
	Store     *store.Store
	Entrances Entrances            // nil: nobody enters by API
	Temporal  TemporalHealth       // nil: not asked
	Log       *slog.Logger         // nil: nothing is logged
	Metrics   *prometheus.Registry // nil: one of its own
	Version   string
	// DemoClock lets a start ask for a clock that runs faster than real time.
	DemoClock bool
	// Rate is how many requests a second one key may make; DefaultRate unless set.
	Rate float64
	// MaxIntents is how much may wait for the router before what would add to it is
	// refused with 429; 0 means no limit. It is watched while Serve runs.
	MaxIntents int64
	// Channels are those that the installation has; a campaign that names another is not
	// stored, for its messages would wait for ever. nil: nobody asks.
	Channels []string
	// OptOut reads the links by which members opt out of a channel; the zero value believes
	// none.
	OptOut optout.Links
	// Callbacks are the accounts whose platforms call back; the zero value has none.
	Callbacks callbacks.Endpoints
	// Referrals gives codes and binds; nil: nobody is bound here. The router implements it.
	Referrals Referrals
	// ReferralLinks are the short links of codes; the zero value makes none.
	ReferralLinks ReferralLinks
	// Trace may follow requests and the events that they tell; nil: nothing is traced.
	Trace Trace
}

// Trace follows requests and events.
type Trace interface {
	HTTP(next http.Handler, route func(*http.Request) string) http.Handler
	Accepted(ctx context.Context, e *campaign.Event)
}

// Server is the HTTP API. It implements http.Handler.
type Server struct {
	cfg     Config
	store   *store.Store
	log     *slog.Logger
	mux     *routes
	api     huma.API
	metrics *metrics
	buckets *buckets
	// pressure is known while Serve runs
	pressure *pressure
	handler  http.Handler

	vocabularies vocabularies
	clicks       *buckets      // by address
	counting     chan struct{} // holds one while members are counted
	countWithin  time.Duration
}

// routes is a ServeMux that remembers what was registered.
type routes struct {
	http.ServeMux
	patterns []string
}

// HandleFunc implements humago.Mux.
func (m *routes) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, handler)
}

// NewServer assembles the API.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Store == nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "the API needs a store")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	if cfg.Rate <= 0 {
		cfg.Rate = DefaultRate
	}
	useProblems()
	s := &Server{
		cfg: cfg, store: cfg.Store, log: cfg.Log, mux: new(routes),
		buckets:  newBuckets(rate.Limit(cfg.Rate), int(2*cfg.Rate)),
		pressure: newPressure(cfg.Store, cfg.MaxIntents, cfg.Log),
		counting: make(chan struct{}, 1), countWithin: countWithin, clicks: newBuckets(clickRate, clickBurst),
	}
	var err error
	if s.metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, err
	}
	s.api = humago.New(s.mux, apiConfig(cfg.Version))
	s.api.UseMiddleware(s.scoped)
	for _, register := range []func(){
		s.registerHealth, s.registerCampaigns, s.registerSegments, s.registerMigrations, s.registerStates, s.registerReports, s.registerLeaderboard, s.registerMembers, s.registerIdentities, s.registerStories,
		s.registerEvents, s.registerEntries, s.registerOffers, s.registerTeams, s.registerReviews, s.registerRedemptions, s.registerCoupons, s.registerReferrals, s.registerKeys, s.registerDocs, s.registerOptOut, s.registerCallbacks,
	} {
		register()
	}
	// From the outside in: what is cheap to refuse is refused first.
	s.handler = s.observed(s.recovered(s.authenticated(s.limited(s.routed(s.read(s.repeated(s.mux)))))))
	if cfg.Trace != nil {
		s.handler = cfg.Trace.HTTP(s.handler, s.route)
	}
	return s, nil
}

func apiConfig(version string) huma.Config {
	cfg := huma.DefaultConfig("Banyan", version)
	cfg.Info.Description = apiDescription
	cfg.CreateHooks = nil // no $schema member in every answer
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.AllowAdditionalPropertiesByDefault = false
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		securityKey: {Type: "http", Scheme: "bearer", Description: "A key as `banyan keys create` prints it, once."},
	}
	return cfg
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// OpenAPI is the document of the API.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.api.OpenAPI() }

// Serve answers on the listener until ctx is done, then lets running requests finish.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	tidying, stop := context.WithCancel(ctx)
	defer stop()
	go s.tidy(tidying)
	go s.pressure.run(tidying)
	return serve(ctx, listener, s, s.log)
}

const tidyEvery = time.Hour

// tidy drops what is kept for a while only.
func (s *Server) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := s.store.PruneIdempotent(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "old idempotency keys stay for now", "error", err)
		}
		if _, err := s.store.PruneGuesses(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "old wrong codes stay for now", "error", err)
		}
	}
}

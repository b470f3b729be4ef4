package store

import (
	"context"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Time limits of every connection. Nothing that Banyan asks of PostgreSQL should take
// longer; what does is stuck behind a lock or a missing index and must not pile up.
const (
	statementTimeout = "30s"
	lockTimeout      = "10s"
	idleInTxTimeout  = "60s"
)

// Store is a pool of connections to one database. It is safe for concurrent use.
type Store struct {
	pool      *pgxpool.Pool
	queries   *db.Queries
	notifier  *notifier
	ingestion *ingestion
	catalog   catalogCache
	keys      keyCache
	sealing   sealing
}

// Option changes how a Store is opened.
type Option func(*pgxpool.Config)

// minMaxConns is the smallest pool: a router takes one connection for events, one for a
// batch of deliveries and one for journeys that are over, and leaves one to the rest.
const minMaxConns = 4

// WithMaxConns sets the size of the pool, at least 4.
func WithMaxConns(n int) Option {
	return func(c *pgxpool.Config) { c.MaxConns = int32(min(n, 1_000)) }
}

// WithTracer is told of every statement; nil: nobody is.
func WithTracer(t pgx.QueryTracer) Option {
	return func(c *pgxpool.Config) {
		if t != nil {
			c.ConnConfig.Tracer = t
		}
	}
}

// WithApplicationName is what pg_stat_activity shows; "banyan" unless told.
func WithApplicationName(name string) Option {
	return func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = name }
}

// defaultMaxConns is four connections for each core: a request holds one for a short
// transaction and spends most of that waiting for the disk at commit, so a few for
// each core keep both busy, while three processes on eight cores still fit into
// PostgreSQL's hundred. pool_max_conns in the URL overrules it.
func defaultMaxConns() int32 { return int32(max(8, 4*runtime.GOMAXPROCS(0))) }

// Open connects to the database at url and checks that it answers.
func Open(ctx context.Context, url string, opts ...Option) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx redacts the password, but the URL has no business in a log either.
		return nil, campaign.Errorf(campaign.CodeInvalid, "the database URL cannot be read")
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = defaultMaxConns()
	}
	params := cfg.ConnConfig.RuntimeParams
	setDefault(params, "application_name", "banyan")
	setDefault(params, "statement_timeout", statementTimeout)
	setDefault(params, "lock_timeout", lockTimeout)
	setDefault(params, "idle_in_transaction_session_timeout", idleInTxTimeout)
	params["timezone"] = "UTC"
	cfg.AfterConnect = readTimesAsUTC
	for _, opt := range opts {
		opt(cfg)
	}
	cfg.MaxConns = max(cfg.MaxConns, minMaxConns)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, translate(err, "open the database")
	}
	s := &Store{pool: pool, queries: db.New(pool)}
	if err := s.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	s.notifier = startNotifier(pool)
	s.ingestion = newIngestion(s)
	return s, nil
}

// Close gives all connections back. It waits for those in use.
func (s *Store) Close() {
	s.notifier.stop()
	s.pool.Close()
}

// Ping reports whether PostgreSQL answers.
func (s *Store) Ping(ctx context.Context) error {
	return translate(s.pool.Ping(ctx), "reach the database")
}

// Now is PostgreSQL's clock, the only one by which Banyan decides.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := s.pool.QueryRow(ctx, "select clock_timestamp()").Scan(&now)
	return now, translate(err, "read the database's clock")
}

// readTimesAsUTC makes every timestamptz arrive in UTC, whatever the machine's zone,
// so that what is compared, hashed or shown does not depend on where it runs.
func readTimesAsUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

func setDefault(params map[string]string, name, value string) {
	if params[name] == "" {
		params[name] = value
	}
}

// MaxConns is the size of the pool.
func (s *Store) MaxConns() int { return int(s.pool.Config().MaxConns) }

// ConnsInUse is how many connections are at work.
func (s *Store) ConnsInUse() int { return int(s.pool.Stat().AcquiredConns()) }

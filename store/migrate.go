package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/banyanhq/banyan/campaign"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrated is one migration and whether the database has it.
type Migrated struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Migrate brings the database at url to the newest schema. It holds a session lock, so
// that any number of processes may start at once; it answers how many migrations ran.
func Migrate(ctx context.Context, url string) (applied int, err error) {
	err = withProvider(ctx, url, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		applied = len(results)
		return translate(err, "migrate the database")
	})
	return applied, err
}

// MigrateDown takes back the newest migration, with all data in the tables that it
// made. It answers the name of what it took back, empty if there was nothing.
func MigrateDown(ctx context.Context, url string) (name string, err error) {
	err = withProvider(ctx, url, func(p *goose.Provider) error {
		version, err := p.GetDBVersion(ctx)
		if err != nil || version == 0 {
			return translate(err, "read the database's version")
		}
		result, err := p.Down(ctx)
		if err != nil {
			return translate(err, "take back a migration")
		}
		name = result.Source.Path
		return nil
	})
	return name, err
}

// MigrationStatus lists the migrations of this build and which of them the database has.
func MigrationStatus(ctx context.Context, url string) (list []Migrated, err error) {
	err = withProvider(ctx, url, func(p *goose.Provider) error {
		status, err := p.Status(ctx)
		if err != nil {
			return translate(err, "read the migrations")
		}
		for _, s := range status {
			list = append(list, Migrated{s.Source.Version, s.Source.Path, s.State == goose.StateApplied})
		}
		return nil
	})
	return list, err
}

// newestMigration is the version of the schema that this build needs.
func newestMigration() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		return 0, campaign.Errorf(campaign.CodeInternal, "this build has no migrations")
	}
	return goose.NumericComponent(names[len(names)-1])
}

func withProvider(ctx context.Context, url string, do func(*goose.Provider) error) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return campaign.Errorf(campaign.CodeInvalid, "the database URL cannot be read")
	}
	// No statement timeout here: building an index on a large table takes what it takes.
	cfg.RuntimeParams["application_name"] = "banyan migrate"
	conn := stdlib.OpenDB(*cfg)
	defer func() { _ = conn.Close() }()
	if err := conn.PingContext(ctx); err != nil {
		return translate(err, "reach the database")
	}
	provider, err := newProvider(conn)
	if err != nil {
		return translate(err, "read the migrations")
	}
	return do(provider)
}

func newProvider(conn *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, conn, files, goose.WithSessionLocker(locker))
}

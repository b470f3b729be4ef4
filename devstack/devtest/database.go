package devtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/devstack"
)

// Database gives the connection string of a fresh, empty database, dropped at cleanup.
func Database(tb testing.TB) string {
	tb.Helper()
	cluster := os.Getenv(EnvTestDatabaseURL)
	if cluster == "" {
		cluster = sharedPostgres.get(tb, devstack.StartPostgres).URL
	}
	name := "banyan_test_" + strings.ToLower(rand.Text()[:16])
	dsn, err := withDatabase(cluster, name)
	if err != nil {
		tb.Fatalf("name a test database: %v", err)
	}
	// template0 is never connected to, so that tests can make databases side by side.
	if err := administer(tb.Context(), cluster, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		tb.Fatalf("create a test database: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		// FORCE, because a failed test may leave connections behind.
		if err := administer(ctx, cluster, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop the test database: %v", err)
		}
	})
	return dsn
}

// withDatabase replaces the database in a connection URL.
func withDatabase(dsn, name string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		// The parser's own words would repeat the URL, and with it the password.
		return "", errors.New("the database must be given as postgres://…")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// administer runs one statement on the cluster.
func administer(ctx context.Context, cluster, statement string) error {
	connection, err := pgx.Connect(ctx, cluster)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	_, err = connection.Exec(ctx, statement)
	return errors.Join(err, connection.Close(ctx))
}

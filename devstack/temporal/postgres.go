package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	postgresplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/tools/common/schema"
	toolsql "go.temporal.io/server/tools/sql"
)

// postgresStore is one of the two databases of a server on PostgreSQL.
type postgresStore struct {
	database string
	schema   string // in the server module's embedded schemas
	maxConns int
}

// openPostgres creates both databases if need be, brings their schemas up to date with
// this server, and describes them.
func openPostgres(dsn string) (config.Persistence, error) {
	connection, maintenance, err := parsePostgres(dsn)
	if err != nil {
		return config.Persistence{}, err
	}
	// The sizes are those of Temporal's own development configuration: small enough for
	// a shared cluster, and the server queues on its side when they are in use.
	stores := map[string]postgresStore{
		"main":       {database: "temporal", schema: "postgresql/v12/temporal", maxConns: 20},
		"visibility": {database: "temporal_visibility", schema: "postgresql/v12/visibility", maxConns: 5},
	}
	persistence := config.Persistence{
		DefaultStore:    "main",
		VisibilityStore: "visibility",
		// Fixed for the life of the databases. Four let a development machine's few
		// cores work side by side; a production cluster chooses hundreds.
		NumHistoryShards: 4,
		DataStores:       map[string]config.DataStore{},
	}
	for name, store := range stores {
		conf := connection
		conf.DatabaseName = store.database
		conf.MaxConns = store.maxConns
		conf.MaxIdleConns = store.maxConns
		if err := createDatabase(conf, maintenance); err != nil {
			return config.Persistence{}, err
		}
		if err := updateSchema(conf, store.schema); err != nil {
			return config.Persistence{}, err
		}
		persistence.DataStores[name] = config.DataStore{SQL: &conf}
	}
	return persistence, nil
}

// parsePostgres turns a connection string into the server's terms, and names the
// database from which others can be created.
func parsePostgres(dsn string) (conf config.SQL, maintenance string, err error) {
	parsed, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return config.SQL{}, "", fmt.Errorf("read --postgres: %w", err)
	}
	if parsed.Host == "" || parsed.Host[0] == '/' {
		return config.SQL{}, "", errors.New("read --postgres: the server speaks TCP only, so the URL needs a host")
	}
	conf = config.SQL{
		PluginName:        postgresplugin.PluginNamePGX,
		ConnectProtocol:   "tcp",
		ConnectAddr:       net.JoinHostPort(parsed.Host, strconv.Itoa(int(parsed.Port))),
		User:              parsed.User,
		Password:          parsed.Password,
		ConnectAttributes: map[string]string{},
	}
	// Only a URL carries the TLS settings in a form that can be handed on.
	if parsedURL, err := url.Parse(dsn); err == nil {
		for _, key := range []string{"sslmode", "sslrootcert", "sslcert", "sslkey"} {
			if value := parsedURL.Query().Get(key); value != "" {
				conf.ConnectAttributes[key] = value
			}
		}
	}
	maintenance = parsed.Database
	if maintenance == "" {
		maintenance = "postgres"
	}
	return conf, maintenance, nil
}

// createDatabase creates the database unless it is there.
func createDatabase(conf config.SQL, maintenance string) error {
	name := conf.DatabaseName // which DoCreateDatabase replaces, in our copy
	if err := toolsql.DoCreateDatabase(&conf, maintenance, log.NewNoopLogger()); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// updateSchema brings a database, empty or old, to the schema of this server.
func updateSchema(conf config.SQL, name string) error {
	connection, err := toolsql.NewConnection(&conf, log.NewNoopLogger())
	if err != nil {
		return fmt.Errorf("connect to database %s: %w", conf.DatabaseName, err)
	}
	defer connection.Close()

	if _, err := connection.ReadSchemaVersion(); err != nil {
		// A database without a version is new, or was left by a kill between the two
		// statements that this task runs and can run again.
		setup := schema.NewSetupSchemaTask(connection, &schema.SetupConfig{InitialVersion: "0.0"}, log.NewNoopLogger())
		if err := setup.Run(); err != nil {
			return fmt.Errorf("set up the schema of %s: %w", conf.DatabaseName, err)
		}
	}
	update := schema.NewUpdateSchemaTask(connection, &schema.UpdateConfig{
		DBName:     conf.DatabaseName,
		SchemaName: name,
	}, log.NewNoopLogger())
	if err := update.Run(); err != nil {
		return fmt.Errorf("update the schema of %s: %w", conf.DatabaseName, err)
	}
	return nil
}

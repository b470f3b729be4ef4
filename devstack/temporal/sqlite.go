package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.temporal.io/server/common/config"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
)

// openStore prepares the store that the options name.
func openStore(opts options) (config.Persistence, error) {
	if opts.postgres != "" {
		return openPostgres(opts.postgres)
	}
	return openSQLite(opts.db)
}

// openSQLite prepares one SQLite file for everything, making it if it is not there.
func openSQLite(file string) (config.Persistence, error) {
	file, err := filepath.Abs(versioned(file))
	if err != nil {
		return config.Persistence{}, fmt.Errorf("find the database file: %w", err)
	}
	if err := createSQLite(file); err != nil {
		return config.Persistence{}, err
	}
	return config.Persistence{
		DefaultStore:     "sqlite",
		VisibilityStore:  "sqlite",
		NumHistoryShards: 1,
		DataStores: map[string]config.DataStore{"sqlite": {SQL: &config.SQL{
			PluginName:   sqliteplugin.PluginName,
			DatabaseName: file,
			ConnectAttributes: map[string]string{
				"mode":         "rwc",
				"journal_mode": "wal",
				// With WAL this survives a killed process; only a machine that loses
				// power can lose the last moments.
				"synchronous":  "normal",
				"busy_timeout": "10000",
			},
			// One connection, the plugin's default: a reader that turns writer is
			// refused at once by SQLite when another wrote meanwhile, whatever the
			// busy timeout says.
			MaxConns: 1,
		}}},
	}, nil
}

// versioned adds the schema's version to the name. SQLite files of Temporal are not
// migrated by an upgrade of the server; a new schema starts a new file instead.
func versioned(file string) string {
	extension := filepath.Ext(file)
	return strings.TrimSuffix(file, extension) +
		"-v" + sqliteschema.Version + "-v" + sqliteschema.VisibilityVersion + extension
}

// createSQLite makes the file with its schema, under another name first, so that a kill
// half way leaves nothing that looks like a database.
func createSQLite(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the database file: %w", err)
	}
	draft := file + ".new"
	for _, leftover := range []string{draft, draft + "-journal"} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a half-made database: %w", err)
		}
	}
	if err := sqliteschema.SetupSchema(&config.SQL{
		PluginName:   sqliteplugin.PluginName,
		DatabaseName: draft,
		// The draft is thrown away after a crash, so nothing needs to be flushed.
		ConnectAttributes: map[string]string{"mode": "rwc", "synchronous": "off"},
	}); err != nil {
		return fmt.Errorf("set up the schema in %s: %w", draft, err)
	}
	if err := os.Rename(draft, file); err != nil {
		return fmt.Errorf("put the database in place: %w", err)
	}
	return nil
}

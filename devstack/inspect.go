package devstack

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// Finding is one thing that Inspect looked at.
type Finding struct {
	Name   string
	OK     bool   // a stack can come up with it
	Detail string // what was found, or what to do
}

// Inspect says what Up would use, without starting or building anything.
func Inspect(ctx context.Context, cfg Config) ([]Finding, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return []Finding{
		{Name: "data folder", OK: true, Detail: cfg.Dir},
		inspectDatabase(ctx, cfg),
		inspectTemporal(ctx, cfg),
	}, nil
}

func inspectDatabase(ctx context.Context, cfg Config) Finding {
	const name = "PostgreSQL"
	if dsn := cfg.machine.getenv(EnvDatabaseURL); dsn != "" {
		if err := pingPostgres(ctx, dsn); err != nil {
			return Finding{Name: name, Detail: EnvDatabaseURL + " is set, but: " + err.Error()}
		}
		return Finding{Name: name, OK: true, Detail: "the one that " + EnvDatabaseURL + " names; it answers"}
	}
	installed, err := cfg.machine.findPostgres(ctx)
	if err != nil {
		return Finding{Name: name, Detail: err.Error()}
	}
	account, err := cfg.machine.postgresAccount(filepath.Join(cfg.folder("postgres"), "data"))
	if err != nil {
		return Finding{Name: name, Detail: err.Error()}
	}
	var found []string
	for _, b := range installed {
		found = append(found, b.version+" in "+b.dir)
	}
	detail := "found " + strings.Join(found, ", ")
	if account != nil {
		detail += "; it will run as " + account.name
	}
	return Finding{Name: name, OK: true, Detail: detail}
}

func inspectTemporal(ctx context.Context, cfg Config) Finding {
	const name = "Temporal"
	if cfg.temporalIsExternal() {
		external, err := externalTemporal(ctx, cfg)
		if err != nil {
			return Finding{Name: name, Detail: err.Error()}
		}
		return Finding{Name: name, OK: true, Detail: "the one at " + external.Address + " that the environment names; it answers"}
	}
	build, err := planBuild(cfg)
	if err != nil {
		return Finding{Name: name, Detail: err.Error()}
	}
	if isFile(build.binary) {
		return Finding{Name: name, OK: true, Detail: "our own server, built: " + build.binary}
	}
	tool, err := cfg.machine.lookPath("go")
	if err != nil {
		return Finding{Name: name, Detail: fmt.Sprintf("our own server is not built, and Go is not on PATH: "+
			"install it, or set %s to a server that runs", EnvTemporalAddress)}
	}
	return Finding{Name: name, OK: true, Detail: "our own server, to be built with " + tool + " (about eight minutes of one core, once)"}
}

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	temporal "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

type migrateCommand struct {
	Up     migrateUp     `cmd:"" default:"withargs" help:"Bring the database to this build's schema."`
	Down   migrateDown   `cmd:"" help:"Take back the newest migration and all data in its tables."`
	Status migrateStatus `cmd:"" help:"List migrations."`
}

type migrateUp struct{ OnDatabase }

// Run migrates up.
func (c *migrateUp) Run(ctx context.Context, e *env, g *Globals) error {
	url, err := c.url()
	if err != nil {
		return err
	}
	n, err := store.Migrate(ctx, url)
	if err != nil {
		return err
	}
	return output(e, g, map[string]int{"applied": n}, func(p *printer) { p.line("%d migrations applied", n) })
}

type migrateDown struct {
	OnDatabase
	Yes bool `help:"Yes, lose the data." required:""`
}

// Run takes back the newest migration.
func (c *migrateDown) Run(ctx context.Context, e *env, g *Globals) error {
	url, err := c.url()
	if err != nil {
		return err
	}
	name, err := store.MigrateDown(ctx, url)
	if err != nil {
		return err
	}
	return output(e, g, map[string]string{"taken_back": name}, func(p *printer) {
		if name == "" {
			p.line("there was nothing to take back")
			return
		}
		p.line("%s is taken back", name)
	})
}

type migrateStatus struct{ OnDatabase }

// Run lists migrations.
func (c *migrateStatus) Run(ctx context.Context, e *env, g *Globals) error {
	url, err := c.url()
	if err != nil {
		return err
	}
	list, err := store.MigrationStatus(ctx, url)
	if err != nil {
		return err
	}
	return output(e, g, list, func(p *printer) {
		for _, m := range list {
			state := "to come"
			if m.Applied {
				state = "applied"
			}
			p.line("%-8s %s", state, m.Name)
		}
	})
}

type doctorCommand struct{ OnDatabase }

// Run examines the database and Temporal. It changes nothing.
func (c *doctorCommand) Run(ctx context.Context, e *env, g *Globals) error {
	url, err := c.url()
	if err != nil {
		return err
	}
	findings, err := examine(ctx, url)
	if err != nil {
		return err
	}
	ill := 0
	for _, f := range findings {
		if !f.OK {
			ill++
		}
	}
	err = output(e, g, findings, func(p *printer) {
		for _, f := range findings {
			mark := "ok  "
			if !f.OK {
				mark = "ILL "
			}
			p.line("%s %s: %s", mark, f.Check, f.Detail)
		}
	})
	if err == nil && ill > 0 {
		return fmt.Errorf("%d of %d checks found something", ill, len(findings))
	}
	return err
}

func examine(ctx context.Context, url string) ([]store.Finding, error) {
	s, err := store.Open(ctx, url, store.WithMaxConns(2), store.WithApplicationName("banyan doctor"))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	findings, err := s.Examine(ctx)
	if err != nil {
		return nil, err
	}
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return append(findings, store.Finding{Check: "temporal", Detail: "its settings cannot be read: " + err.Error()}), nil
	}
	client, err := temporal.NewLazyClient(options)
	if err != nil {
		return append(findings, store.Finding{Check: "temporal", Detail: err.Error()}), nil
	}
	defer client.Close()
	namespace := options.Namespace
	if namespace == "" {
		namespace = temporal.DefaultNamespace
	}
	return append(findings, starter.ExamineTemporal(ctx, client, namespace)...), nil
}

type healthcheckCommand struct {
	URL string `arg:"" optional:"" help:"What to ask; this machine's server (BANYAN_LISTEN) unless told."`
}

const healthcheckTimeout = 4 * time.Second

// Run asks a server whether it is ready.
func (c *healthcheckCommand) Run(ctx context.Context, e *env, g *Globals) error {
	url := c.URL
	if url == "" {
		url = readyURL(e.Getenv("BANYAN_LISTEN"))
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usageError{"the URL cannot be read"}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // only to say more
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return output(e, g, map[string]bool{"ready": true}, func(p *printer) { p.line("ready") })
}

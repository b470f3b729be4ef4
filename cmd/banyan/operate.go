package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	temporal "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/doctor"
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
	url, err := c.url(g)
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
	url, err := c.url(g)
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
	url, err := c.url(g)
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

type doctorCommand struct {
	OnDatabase
	Repair     bool   `help:"Mend what can be mended: start workflows that are gone, end those without a journey, wake journeys, hasten what is put off."`
	Restored   bool   `help:"With --repair, after a backup was restored: start every journey under way again, whatever Temporal believes."`
	Arrived    string `help:"Settle a message of unknown outcome: the receiver has it." placeholder:"KEY" xor:"settle"`
	NotArrived string `help:"Settle a message of unknown outcome: the receiver does not have it." placeholder:"KEY" xor:"settle"`
}

// Run examines the database and Temporal. Without --repair it changes nothing.
func (c *doctorCommand) Run(ctx context.Context, e *env, g *Globals) error {
	url, err := c.url(g)
	if err != nil {
		return err
	}
	if c.Restored && !c.Repair {
		return usageError{"--restored says how to repair: it needs --repair"}
	}
	s, err := store.Open(ctx, url, store.WithMaxConns(doctorConns), store.WithApplicationName("banyan doctor"))
	if err != nil {
		return err
	}
	defer s.Close()
	if key := cmp.Or(c.Arrived, c.NotArrived); key != "" {
		if err := s.Reconcile(ctx, key, c.Arrived != ""); err != nil {
			return err
		}
		return output(e, g, map[string]string{"settled": key}, func(p *printer) { p.line("settled: %s", key) })
	}
	findings, err := c.examine(ctx, s)
	if err != nil {
		return err
	}
	findings = append(findings, addressFinding(ctx, e, s)...)
	findings = append(findings, channelFindings(ctx, e)...)
	findings = append(findings, callbackFindings(e, time.Now())...)
	ill := 0
	for i := range findings {
		if !findings[i].OK && !findings[i].Mended() {
			ill++
		}
	}
	if err := output(e, g, findings, func(p *printer) { tell(p, findings) }); err != nil {
		return err
	}
	if ill > 0 {
		return fmt.Errorf("%d of %d checks found something", ill, len(findings))
	}
	return nil
}

const (
	// doctorConns is for one question at a time and the repairs beside it.
	doctorConns = 8
	// doctorLines bounds what is printed of each check; --json has more.
	doctorLines = 20
)

func tell(p *printer, findings []store.Finding) {
	for i := range findings {
		f := &findings[i]
		mark := "ILL "
		switch {
		case f.OK:
			mark = "ok  "
		case f.Mended():
			mark = "MENDED"
		}
		p.line("%s %s: %s", mark, f.Check, f.Detail)
		for j, item := range f.Items {
			if j == doctorLines {
				p.line("     … and %d more (--json lists them)", len(f.Items)-j)
				break
			}
			p.line("     %s → %s", item.What, cmp.Or(item.Done, item.ToDo))
		}
	}
}

func (c *doctorCommand) examine(ctx context.Context, s *store.Store) ([]store.Finding, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "read Temporal's settings: %w", err)
	}
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	client, err := temporal.NewLazyClient(options)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "set up the connection to Temporal: %w", err)
	}
	defer client.Close()
	return doctor.Examine(ctx, doctor.Config{
		Store: s, Client: client, Namespace: cmp.Or(options.Namespace, temporal.DefaultNamespace), Repair: c.Repair, Restored: c.Restored,
	})
}

type healthcheckCommand struct {
	URL string `arg:"" optional:"" help:"What to ask; this machine's server (BANYAN_LISTEN) unless told."`
}

const healthcheckTimeout = 4 * time.Second

// Run asks a server whether it is ready.
func (c *healthcheckCommand) Run(ctx context.Context, e *env, g *Globals) error {
	url := c.URL
	if url == "" {
		r := reader{getenv: e.Getenv}
		if url = readyURL(r.setting("BANYAN_LISTEN")); r.err != nil {
			return r.err
		}
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

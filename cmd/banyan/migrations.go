package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

const migrateForm = "write JOURNEY/STEP=keep, =move, =move:STEP or =end:OUTCOME, for instance main/2=move; " +
	"* is every journey or step, vN/ in front names a version"

var versionPart = regexp.MustCompile(`^v([1-9][0-9]{0,8})$`)

// migrationRules reads what --migrate says.
func migrationRules(list []string) ([]campaign.MigrationRule, error) {
	rules := make([]campaign.MigrationRule, len(list))
	for i, text := range list {
		rule, ok := migrationRule(text)
		if !ok {
			return nil, usageError{fmt.Sprintf("--migrate %s cannot be read: %s", strconv.Quote(text), migrateForm)}
		}
		rules[i] = rule
	}
	return rules, nil
}

func migrationRule(text string) (r campaign.MigrationRule, ok bool) {
	where, what, ok := strings.Cut(text, "=")
	if !ok || where == "" {
		return r, false
	}
	parts := strings.Split(where, "/")
	if m := versionPart.FindStringSubmatch(parts[0]); m != nil && len(parts) > 1 {
		r.Version, _ = strconv.Atoi(m[1]) // nine digits at most
		parts = parts[1:]
	}
	if len(parts) > 2 {
		return r, false
	}
	for i, part := range parts {
		switch {
		case part == "":
			return r, false
		case part == "*":
		case i == 0:
			r.Journey = part
		default:
			r.Step = part
		}
	}
	do, target, named := strings.Cut(what, ":")
	r.Do = campaign.MigrationDo(do)
	switch r.Do {
	case campaign.MigrationKeep:
		return r, !named
	case campaign.MigrationMove:
		r.To = target
		return r, !named || target != ""
	case campaign.MigrationEnd:
		r.Outcome = target
		return r, target != ""
	}
	return r, false
}

// migrationPlan asks the server what the text would mean for who is in flight, which
// also says whether the choices can be followed.
func (c *submitCommand) migrationPlan(ctx context.Context, api *client, name string, source []byte, rules []campaign.MigrationRule) (*starter.MigrationPlan, error) {
	var plan starter.MigrationPlan
	err := api.post(ctx, campaignPath(name, "migrations", "plan"), starter.MigrationPlanRequest{Source: string(source), Choices: rules}, &plan)
	var refusal *problemError
	if !errors.As(err, &refusal) {
		return &plan, err
	}
	if refusal.Status == http.StatusNotFound { // a campaign that is submitted for the first time
		return &starter.MigrationPlan{Campaign: name, Digest: campaign.Digest(source)}, nil
	}
	return nil, inWordsOf(refusal, c.Migrate)
}

var choicePath = regexp.MustCompile(`^choices\[([0-9]+)\]`)

// inWordsOf lets a refusal name the flags that it is about as they were given.
func inWordsOf(refusal *problemError, flags []string) error {
	for i := range refusal.Errors {
		d := &refusal.Errors[i]
		if m := choicePath.FindStringSubmatch(d.Path); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n < len(flags) {
				d.Path = "--migrate " + flags[n]
			}
		}
	}
	return refusal
}

// migrate decides on a migration to the version that was just stored.
func (c *submitCommand) migrate(ctx context.Context, api *client, stored *starter.SubmitAnswer, rules []campaign.MigrationRule) (*store.Migration, error) {
	var m store.Migration
	err := api.post(ctx, campaignPath(stored.Campaign, "migrations"), starter.MigrationRequest{Version: stored.Version, Choices: rules}, &m)
	if err != nil {
		var refusal *problemError
		if errors.As(err, &refusal) {
			err = inWordsOf(refusal, c.Migrate)
		}
		return nil, fmt.Errorf("version %d is stored, and new entrants take it, but nobody is moved: %w", stored.Version, err)
	}
	return &m, nil
}

type migrationsCommand struct {
	Campaign  string `arg:"" help:"The campaign's name."`
	Migration int64  `arg:"" optional:"" help:"One migration, with why members were kept."`
	Stop      bool   `help:"Stop it; who was moved by then stays moved." xor:"do"`
	Revert    bool   `help:"Take its moves back, for members who have taken no step since." xor:"do"`
}

// Run shows how far migrations have come.
func (c *migrationsCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	if c.Migration == 0 && (c.Stop || c.Revert) {
		return usageError{"--stop and --revert are about one migration: name it"}
	}
	list := []store.Migration{}
	switch path := campaignPath(c.Campaign, "migrations"); {
	case c.Migration != 0:
		path += "/" + strconv.FormatInt(c.Migration, 10)
		list = append(list, store.Migration{})
		switch {
		case c.Stop:
			err = api.post(ctx, path+"/stop", nil, &list[0])
		case c.Revert:
			err = api.post(ctx, path+"/revert", nil, &list[0])
		default:
			err = api.get(ctx, path, &list[0])
		}
	default:
		for after := ""; ; {
			var page starter.MigrationList
			if err = api.get(ctx, path+"?limit=1000&after="+url.QueryEscape(after), &page); err != nil {
				break
			}
			list = append(list, page.Migrations...)
			if after = page.Next; after == "" {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	if g.JSON {
		if c.Migration != 0 {
			return writeJSON(e.Stdout, list[0])
		}
		return writeJSON(e.Stdout, list)
	}
	return starter.WriteMigrations(e.Stdout, list)
}

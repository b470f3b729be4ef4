package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

type keysCommand struct {
	Create createKeyCommand `cmd:"" help:"Make a key; its secret is shown once. With --database, or without --key, on the database itself."`
	List   listKeysCommand  `cmd:"" help:"List keys."`
	Revoke revokeKeyCommand `cmd:"" help:"Revoke a key for good."`
}

type createKeyCommand struct {
	Database string   `help:"Make it on this database, whatever key there is; without a key, BANYAN_DATABASE_URL." placeholder:"URL"`
	Name     string   `help:"Who will use it." default:"command line"`
	Scope    []string `help:"What it may do: campaigns:write, events:write, members:write, members:read, reports:read, admin, …" required:"" placeholder:"SCOPE"`
	Expires  string   `help:"For how long it is valid, such as 90d; for ever unless told." placeholder:"DURATION"`
}

// Run makes a key. The first one is made on the database: whoever may open that may
// make keys anyway.
func (c *createKeyCommand) Run(ctx context.Context, e *env, g *Globals) error {
	request := starter.KeyRequest{Name: c.Name}
	for _, s := range c.Scope {
		request.Scopes = append(request.Scopes, store.Scope(s))
	}
	if err := starter.CheckScopes(request.Scopes); err != nil {
		return usageError{err.Error()}
	}
	if c.Expires != "" {
		d, err := campaign.ParseDuration(c.Expires)
		if err != nil {
			return usageError{err.Error()}
		}
		request.ExpiresAt = time.Now().Add(d)
	}
	secret, err := c.create(ctx, g, request)
	if err != nil {
		return err
	}
	return output(e, g, map[string]string{"name": c.Name, "key": secret}, func(p *printer) { p.line("%s", secret) })
}

// create makes the key where the caller says: a --database wins over a key that happens
// to be in the environment; a database in the environment is for a caller without a key.
func (c *createKeyCommand) create(ctx context.Context, g *Globals, request starter.KeyRequest) (string, error) {
	key, err := g.setting(g.Key, "BANYAN_KEY")
	if err != nil {
		return "", err
	}
	if c.Database != "" || key == "" {
		url, err := OnDatabase{c.Database}.url(g)
		if err != nil {
			return "", err
		}
		s, err := store.Open(ctx, url, store.WithMaxConns(2))
		if err != nil {
			return "", err
		}
		defer s.Close()
		secret, _, err := s.CreateKey(ctx, request.Name, request.Scopes, request.ExpiresAt)
		return secret, err
	}
	api, err := newClient(g)
	if err != nil {
		return "", err
	}
	var answer starter.NewKeyAnswer
	err = api.post(ctx, "/v1/keys", request, &answer)
	return answer.Key, err
}

type listKeysCommand struct{}

// Run lists keys.
func (listKeysCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	var answer starter.KeyList
	if err := api.get(ctx, "/v1/keys", &answer); err != nil {
		return err
	}
	return output(e, g, answer.Keys, func(p *printer) {
		for _, k := range answer.Keys {
			scopes := make([]string, len(k.Scopes))
			for i, s := range k.Scopes {
				scopes[i] = string(s)
			}
			state := "valid"
			switch {
			case k.RevokedAt != nil:
				state = "revoked " + k.RevokedAt.Format(time.RFC3339)
			case k.ExpiresAt != nil:
				state = "until " + k.ExpiresAt.Format(time.RFC3339)
			}
			p.line("%d  %s…  %s  [%s]  %s", k.ID, k.Prefix, k.Name, strings.Join(scopes, " "), state)
		}
	})
}

type revokeKeyCommand struct {
	ID int64 `arg:"" help:"The key's number, as the list shows it."`
}

// Run revokes a key.
func (c *revokeKeyCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	if err := api.call(ctx, http.MethodDelete, fmt.Sprintf("/v1/keys/%d", c.ID), "", nil, nil); err != nil {
		return err
	}
	return output(e, g, map[string]any{"id": c.ID, "revoked": true}, func(p *printer) { p.line("key %d is revoked", c.ID) })
}

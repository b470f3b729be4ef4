package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// api is a caller of the HTTP API.
type api struct {
	url, key string
	client   *http.Client
}

// serveAPI serves a fleet's API in this process and makes a key for it.
func (f *fleet) serveAPI(scopes ...store.Scope) *api {
	f.t.Helper()
	server, err := starter.NewServer(starter.Config{
		Store: f.store, Entrances: f.router, Referrals: f.router, Log: f.log,
		ReferralLinks: starter.ReferralLinks{Base: "https://go.shop.example", Keys: [][]byte{[]byte("a secret of sixteen bytes")}, Hosts: []string{"shop.example"}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	f.t.Cleanup(listening.Close)
	key, _, err := f.store.CreateKey(f.ctx, "e2e", scopes, time.Time{})
	if err != nil {
		f.t.Fatal(err)
	}
	return &api{url: listening.URL, key: key, client: listening.Client()}
}

// call makes one request and reads its answer into out, unless that is nil. An answer
// that is no success is an error.
func (a *api) call(ctx context.Context, method, path string, in []byte, kind string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(in))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if closing := resp.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return &refusal{resp.StatusCode, string(body)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.body) }

func (a *api) offer(ctx context.Context, id string) (o starter.OfferAnswer, err error) {
	return o, a.call(ctx, http.MethodGet, "/v1/offers/"+id, nil, "", &o)
}

// send tells a batch of events once.
func (a *api) send(ctx context.Context, events []campaign.Event) (r starter.EventResults, err error) {
	batch := starter.EventBatch{}
	for _, e := range events {
		batch.Events = append(batch.Events, starter.EventRequest{
			ID: e.ID, Type: e.Type, Member: e.Member, Time: e.Time.Format(time.RFC3339Nano), Properties: e.Properties,
		})
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return r, err
	}
	return r, a.call(ctx, http.MethodPost, "/v1/events/batch", body, "application/json", &r)
}

// within waits for a condition for longer than patience, where a demo clock has to run
// through days first.
func (f *fleet) within(limit time.Duration, what string, holds func() bool) {
	f.t.Helper()
	end := time.Now().Add(limit)
	for !eventually(f.ctx, holds) {
		if time.Now().After(end) || f.ctx.Err() != nil {
			f.t.Fatalf("waited in vain until %s\n%s", what, f.state())
		}
	}
}

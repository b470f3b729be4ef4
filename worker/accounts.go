package worker

import (
	"context"
	"sync"
	"time"

	"github.com/banyanhq/banyan/channels/wecom"
	"github.com/banyanhq/banyan/store"
)

// Accounts is what all workers share of the accounts of platforms: their tokens, and how
// much each receiver got. The channels know it by small interfaces of their own.
type Accounts struct {
	Store *store.Store

	mu     sync.Mutex
	tokens map[string]wecom.Token // those that this process knows
}

// Token implements wecom.Tokens: of all processes one asks the platform, while the others
// wait for what it gets.
func (a *Accounts) Token(ctx context.Context, account, refused string, fetch func(context.Context) (wecom.Token, error)) (wecom.Token, error) {
	good := func(t wecom.Token) bool { return !t.Soon(time.Now()) && t.Text != refused }
	a.mu.Lock()
	known := a.tokens[account]
	a.mu.Unlock()
	if good(known) {
		return known, nil
	}
	text, expires, err := a.Store.SharedToken(ctx, account, func(text string, expires time.Time) bool {
		return good(wecom.Token{Text: text, Expires: expires})
	}, func(ctx context.Context) (string, time.Time, error) {
		t, err := fetch(ctx)
		return t.Text, t.Expires, err
	})
	if err != nil {
		return wecom.Token{}, err
	}
	t := wecom.Token{Text: text, Expires: expires}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens == nil {
		a.tokens = map[string]wecom.Token{}
	}
	a.tokens[account] = t
	return t, nil
}

// Take implements the limiter of channels whose platform drops silently.
func (a *Accounts) Take(ctx context.Context, account, receiver string, perMinute, perHour int) (time.Duration, error) {
	return a.Store.TakeSend(ctx, account, receiver, perMinute, perHour)
}

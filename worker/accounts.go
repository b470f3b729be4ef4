package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/banyanhq/banyan/channels/wecom"
	"github.com/banyanhq/banyan/store"
)

// Accounts is what all workers share of the accounts of platforms: their tokens, and how
// much each receiver got. The channels know it by small interfaces of their own.
type Accounts struct {
	Store *store.Store

	mu      sync.Mutex
	tokens  map[string]wecom.Token // those that this process knows
	flights map[string]*flight     // accounts whose token somebody of this process asks for
}

// flight is one who asks for a token. The others of the process wait for it without a
// connection to the database: a platform that hangs would hold all of them.
type flight struct {
	done   chan struct{} // closed when failed stands
	failed error         // of the platform or the database, and so of all who wait
}

// Token implements wecom.Tokens: of all processes one asks the platform, while the others
// wait for what it gets, and so it is within a process.
func (a *Accounts) Token(ctx context.Context, account, refused string, fetch func(context.Context) (wecom.Token, error)) (wecom.Token, error) {
	good := func(t wecom.Token) bool { return !t.Soon(time.Now()) && t.Text != refused }
	for {
		a.mu.Lock()
		known, other := a.tokens[account], a.flights[account]
		if good(known) {
			a.mu.Unlock()
			return known, nil
		}
		if other == nil {
			own := &flight{done: make(chan struct{})}
			if a.flights == nil {
				a.flights, a.tokens = map[string]*flight{}, map[string]wecom.Token{}
			}
			a.flights[account] = own
			a.mu.Unlock()
			return a.ask(ctx, own, account, good, fetch)
		}
		a.mu.Unlock()
		select {
		case <-other.done:
			if other.failed != nil {
				return wecom.Token{}, other.failed
			}
		case <-ctx.Done():
			return wecom.Token{}, ctx.Err()
		}
	}
}

// errPanicked is what those get who waited for a fetch that did not return.
var errPanicked = errors.New("asking for the token panicked")

// ask gets a token for all of this process who wait for it.
func (a *Accounts) ask(ctx context.Context, own *flight, account string, good func(wecom.Token) bool, fetch func(context.Context) (wecom.Token, error)) (wecom.Token, error) {
	var token wecom.Token
	err := errPanicked
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if err == nil {
			a.tokens[account] = token
		} else if ctx.Err() == nil { // else it was this one who gave up, and the next one asks
			own.failed = err
		}
		delete(a.flights, account)
		close(own.done)
	}()
	text, expires, failed := a.Store.SharedToken(ctx, account, func(text string, expires time.Time) bool {
		return good(wecom.Token{Text: text, Expires: expires})
	}, func(ctx context.Context) (string, time.Time, error) {
		t, err := fetch(ctx)
		return t.Text, t.Expires, err
	})
	if err = failed; err != nil {
		return wecom.Token{}, err
	}
	token = wecom.Token{Text: text, Expires: expires}
	return token, nil
}

// Take implements the limiter of channels whose platform drops silently.
func (a *Accounts) Take(ctx context.Context, account, receiver string, perMinute, perHour int) (time.Duration, error) {
	return a.Store.TakeSend(ctx, account, receiver, perMinute, perHour)
}

// TakePermit takes a permit of a mini program's user for a message. With the two below it is
// the channel's ledger.
func (a *Accounts) TakePermit(ctx context.Context, account, openid, template, key string) (bool, error) {
	return a.Store.TakePermit(ctx, account, openid, template, key)
}

// ReturnPermit gives back what a message took.
func (a *Accounts) ReturnPermit(ctx context.Context, account, openid, template, key string) error {
	return a.Store.ReturnPermit(ctx, account, openid, template, key)
}

// EmptyPermits notes that the platform knows of no permit.
func (a *Accounts) EmptyPermits(ctx context.Context, account, openid, template string) error {
	return a.Store.EmptyPermits(ctx, account, openid, template)
}

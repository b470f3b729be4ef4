package worker_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/wecom"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/worker"
)

func TestMain(m *testing.M) { devtest.Main(m) }

// noticed is a context that tells when somebody waits for its end.
type noticed struct {
	context.Context
	told *sync.WaitGroup
	once *sync.Once
}

func (n noticed) Done() <-chan struct{} {
	n.once.Do(n.told.Done)
	return n.Context.Done()
}

func accounts(t *testing.T) *worker.Accounts {
	t.Helper()
	url := devtest.Database(t)
	if _, err := store.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), url, store.WithMaxConns(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &worker.Accounts{Store: s}
}

// ask has so many callers ask for a token at once, and goes on when all of them wait.
func ask(ctx context.Context, a *worker.Accounts, account string, callers int, fetch func(context.Context) (wecom.Token, error)) (answers func() (tokens []string, errs []error)) {
	var told, group sync.WaitGroup
	told.Add(callers)
	tokens, errs := make([]string, callers), make([]error, callers)
	for i := range callers {
		group.Go(func() {
			var token wecom.Token
			token, errs[i] = a.Token(noticed{ctx, &told, new(sync.Once)}, account, "", fetch)
			tokens[i] = token.Text
		})
	}
	told.Wait()
	return func() ([]string, []error) {
		group.Wait()
		return tokens, errs
	}
}

// TestAPlatformThatHangsHoldsOneConnection: while one of a process asks for a token the
// others wait without a connection to the database, which others need.
func TestAPlatformThatHangsHoldsOneConnection(t *testing.T) {
	t.Parallel()
	a := accounts(t)
	for account, fails := range map[string]error{"good": nil, "bad": channels.TryAgain("http_502", 0, nil)} {
		var fetches atomic.Int32
		began, free := make(chan struct{}, 6), make(chan struct{})
		answers := ask(t.Context(), a, account, 6, func(ctx context.Context) (wecom.Token, error) {
			fetches.Add(1)
			began <- struct{}{}
			select {
			case <-free:
			case <-ctx.Done():
			}
			return wecom.Token{Text: "token", Expires: time.Now().Add(time.Hour)}, fails
		})
		<-began
		quick, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := a.Store.Ping(quick); err != nil {
			t.Errorf("while the platform hangs nobody else reaches the database: %v", err)
		}
		cancel()
		if n := a.Store.ConnsInUse(); n != 1 {
			t.Errorf("%d connections are held", n)
		}
		close(free)
		tokens, errs := answers()
		for i := range tokens {
			if fails == nil && (tokens[i] != "token" || errs[i] != nil) || fails != nil && !errors.Is(errs[i], fails) {
				t.Errorf("%s: %q, %v", account, tokens[i], errs[i])
			}
		}
		if fetches.Load() != 1 {
			t.Errorf("%s: it was asked %d times", account, fetches.Load())
		}
	}
}

// Who asks for all may be called off; then another one of them asks.
func TestAnotherAsksForTheToken(t *testing.T) {
	t.Parallel()
	a := accounts(t)
	first, leave := context.WithCancel(t.Context())
	began := make(chan struct{})
	left := ask(first, a, "one", 1, func(ctx context.Context) (wecom.Token, error) {
		close(began)
		<-ctx.Done()
		return wecom.Token{}, ctx.Err()
	})
	<-began
	answers := ask(t.Context(), a, "one", 4, func(context.Context) (wecom.Token, error) {
		return wecom.Token{Text: "second", Expires: time.Now().Add(time.Hour)}, nil
	})
	leave()
	if _, errs := left(); !errors.Is(errs[0], context.Canceled) {
		t.Errorf("the first got %v", errs[0])
	}
	tokens, errs := answers()
	for i := range tokens {
		if tokens[i] != "second" || errs[i] != nil {
			t.Errorf("%q, %v", tokens[i], errs[i])
		}
	}
}

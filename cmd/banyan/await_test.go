package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// A database that goes away while a program gets ready is waited for; a key that does not
// open the addresses ends the program, whatever comes later.
func TestGettingReady(t *testing.T) {
	t.Parallel()
	away := campaign.Errorf(campaign.CodeUnavailable, "could not seal addresses: the connection broke")
	broken := errors.New("syntax error")
	for name, c := range map[string]struct {
		answers []error // of a database with all its tables
		want    error
	}{
		"at once":       {[]error{nil}, nil},
		"away":          {[]error{away, nil}, nil},
		"the wrong key": {[]error{store.ErrSealed, nil}, store.ErrSealed},
		"a fault":       {[]error{broken, nil}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &settings{Log: slog.New(slog.DiscardHandler)}
			asked := 0
			err := s.awaitMigrations(t.Context(), nil, func(context.Context, *store.Store) (bool, error) {
				asked++
				return true, c.answers[asked-1]
			})
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("after %d times: %v, want %v", asked, err, c.want)
			}
		})
	}
}

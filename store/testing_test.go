package store_test

import (
	"testing"

	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/store"
)

func TestMain(m *testing.M) { devtest.Main(m) }

// open gives a store on a fresh, migrated database.
func open(tb testing.TB) *store.Store {
	tb.Helper()
	url := devtest.Database(tb)
	if _, err := store.Migrate(tb.Context(), url); err != nil {
		tb.Fatal(err)
	}
	s, err := store.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

package store_test

import (
	"testing"

	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/store"
)

func TestMain(m *testing.M) { devtest.Main(m) }

// open gives a store on a fresh, migrated database.
func open(t testing.TB) *store.Store {
	t.Helper()
	url := devtest.Database(t)
	if _, err := store.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

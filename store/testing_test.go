package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/store"
)

// open gives a store on a fresh, migrated database.
func open(t testing.TB) *store.Store {
	t.Helper()
	url := database(t)
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

func database(t testing.TB) string {
	t.Helper()
	admin := "postgres://postgres@127.0.0.1:55439/"
	conn, err := pgx.Connect(t.Context(), admin+"postgres")
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("t%d", rand.Uint64())
	if _, err := conn.Exec(t.Context(), "create database "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = conn.Exec(context.Background(), "drop database "+name+" with (force)")
		_ = conn.Close(context.Background())
	})
	return admin + name
}

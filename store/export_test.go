package store

import "github.com/jackc/pgx/v5/pgxpool"

// Pool lets tests look behind the store.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

package store

import "github.com/jackc/pgx/v5/pgxpool"

// Pool lets tests look behind the store.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Queued is how many single events wait for a worker.
func (s *Store) Queued() int {
	n := 0
	for _, l := range []*lane{&s.ingestion.quick, &s.ingestion.patient} {
		l.mu.Lock()
		n += len(l.queue)
		l.mu.Unlock()
	}
	return n
}

// QuickWorkers is how many shared transactions run side by side.
const QuickWorkers = quickWorkers

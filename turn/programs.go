package turn

import (
	"context"
	"sync"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// Definitions finds the definition of a campaign version by its digest.
type Definitions interface {
	Definition(ctx context.Context, digest string) (*campaign.Definition, error)
}

// Cache compiles the programs of campaign versions once and keeps them by digest. A
// version never changes, so nothing ever has to be thrown out for being old.
//
// Who is inside a transaction asks with that transaction's own connection: everybody
// who wants the same program waits for the one that loads it, and were it to wait in
// turn for a connection that those hold, none would ever come free.
type Cache struct {
	mu       sync.Mutex
	programs map[string]*entry
	order    []string
}

type entry struct {
	once    sync.Once
	program *journey.Program
	err     error
}

// keepPrograms bounds the cache. A compiled campaign takes some hundred kilobytes.
const keepPrograms = 256

// NewCache makes an empty cache.
func NewCache() *Cache { return &Cache{programs: map[string]*entry{}} }

// Program finds or compiles the program of a version. A failure is not kept.
func (c *Cache) Program(ctx context.Context, from Definitions, digest string) (*journey.Program, error) {
	c.mu.Lock()
	e, ok := c.programs[digest]
	if !ok {
		e = &entry{}
		c.programs[digest] = e
		if c.order = append(c.order, digest); len(c.order) > keepPrograms {
			delete(c.programs, c.order[0])
			c.order = c.order[1:]
		}
	}
	c.mu.Unlock()
	e.once.Do(func() {
		def, err := from.Definition(ctx, digest)
		if err == nil {
			e.program, err = journey.Compile(def)
		}
		if e.err = err; err != nil {
			c.forget(digest, e)
		}
	})
	return e.program, e.err
}

func (c *Cache) forget(digest string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.programs[digest] == e {
		delete(c.programs, digest)
	}
}

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

// Cache compiles the programs of campaign versions and keeps them by digest. A version
// never changes, so nothing ever has to be thrown out for being old.
//
// Nobody waits for anybody: who finds a program missing loads it herself, with the
// connection of her own transaction where she has one. Were all to wait for one who
// loads it, and she for a connection that those hold, none would ever come free. So a
// crowd at a cold cache compiles a program a few times over, once.
type Cache struct {
	mu       sync.Mutex
	programs map[string]*journey.Program
	order    []string
}

// keepPrograms bounds the cache. A compiled campaign takes some hundred kilobytes.
const keepPrograms = 256

// NewCache makes an empty cache.
func NewCache() *Cache { return &Cache{programs: map[string]*journey.Program{}} }

// Program finds or compiles the program of a version. A failure is not kept.
func (c *Cache) Program(ctx context.Context, from Definitions, digest string) (*journey.Program, error) {
	if p := c.find(digest); p != nil {
		return p, nil
	}
	def, err := from.Definition(ctx, digest)
	if err != nil {
		return nil, err
	}
	p, err := journey.Compile(def)
	if err != nil {
		return nil, err
	}
	return c.keep(digest, p), nil
}

func (c *Cache) find(digest string) *journey.Program {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.programs[digest]
}

// keep keeps a program, or answers the one that somebody else has kept meanwhile.
func (c *Cache) keep(digest string, p *journey.Program) *journey.Program {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.programs[digest]; have != nil {
		return have
	}
	c.programs[digest] = p
	if c.order = append(c.order, digest); len(c.order) > keepPrograms {
		delete(c.programs, c.order[0])
		c.order = c.order[1:]
	}
	return p
}

package store

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// CatalogEntry is one campaign with the version that new entrants take.
type CatalogEntry struct {
	Name       string
	State      State
	Version    int
	Digest     string
	Clock      campaign.Clock
	Definition *campaign.Definition
}

// Catalog is what all campaigns looked like at one moment. It is shared; nobody
// changes it.
type Catalog struct {
	Campaigns []CatalogEntry // by name

	now  time.Time // PostgreSQL's clock
	read time.Time // this machine's, for the time since: it is monotonic
}

// Now is PostgreSQL's clock, carried on from when the catalogue was read.
func (c *Catalog) Now() time.Time { return c.now.Add(time.Since(c.read)) }

// catalogAge is how old a catalogue may be. A campaign that another process accepted
// is seen after that at the latest; who would refuse because of what the catalogue
// says asks for a fresh one first.
const catalogAge = time.Second

type catalogCache struct {
	mu          sync.Mutex
	current     *Catalog
	definitions map[string]*campaign.Definition // by digest
}

// Catalog gives all campaigns, as they were a second ago at most.
func (s *Store) Catalog(ctx context.Context) (*Catalog, error) {
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	if c := s.catalog.current; c != nil && time.Since(c.read) < catalogAge {
		return c, nil
	}
	return s.readCatalog(ctx)
}

// FreshCatalog gives all campaigns as they are now. Callers that ask together share
// one reading only if it began after they asked.
func (s *Store) FreshCatalog(ctx context.Context) (*Catalog, error) {
	asked := time.Now()
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	if c := s.catalog.current; c != nil && c.read.After(asked) {
		return c, nil
	}
	return s.readCatalog(ctx)
}

// readCatalog needs the lock.
func (s *Store) readCatalog(ctx context.Context) (*Catalog, error) {
	began := time.Now()
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	heads, err := s.queries.CatalogHeads(ctx)
	if err != nil {
		return nil, translate(err, "read the campaigns")
	}
	catalog := &Catalog{Campaigns: make([]CatalogEntry, 0, len(heads)), now: now, read: began}
	known := make(map[string]*campaign.Definition, len(heads))
	for _, h := range heads {
		def, ok := s.catalog.definitions[h.Digest]
		if !ok {
			if def, err = s.Definition(ctx, h.Digest); err != nil {
				return nil, err
			}
		}
		known[h.Digest] = def
		catalog.Campaigns = append(catalog.Campaigns, CatalogEntry{
			Name: h.Name, State: State(h.State), Version: int(h.Version), Digest: h.Digest,
			Clock: clock(h.ClockFactor, h.ClockReal, h.ClockStart), Definition: def,
		})
	}
	s.catalog.current, s.catalog.definitions = catalog, known
	return catalog, nil
}

// Definition reads a campaign version by its digest. It never changes, so callers may
// keep it for ever.
func (s *Store) Definition(ctx context.Context, digest string) (*campaign.Definition, error) {
	return definition(ctx, s.queries, digest)
}

// Definition is Store.Definition on this transaction's connection.
func (p *PageTx) Definition(ctx context.Context, digest string) (*campaign.Definition, error) {
	return definition(ctx, p.q, digest)
}

func definition(ctx context.Context, q *db.Queries, digest string) (*campaign.Definition, error) {
	raw, err := q.DefinitionByDigest(ctx, digest)
	if err != nil {
		return nil, found(err, "campaign version", digest)
	}
	return decodeDefinition(raw)
}

func decodeDefinition(raw json.RawMessage) (*campaign.Definition, error) {
	def := new(campaign.Definition)
	if err := json.Unmarshal(raw, def); err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "a stored definition cannot be read: %w", err)
	}
	return def, nil
}

func clock(factor int64, realMoment, start *time.Time) campaign.Clock {
	c := campaign.Clock{Factor: factor}
	if realMoment != nil && start != nil {
		c.Real, c.Start = *realMoment, *start
	}
	return c
}

func clockOf(c db.Campaign) campaign.Clock { return clock(c.ClockFactor, c.ClockReal, c.ClockStart) }

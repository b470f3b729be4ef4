package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Scope is what a key may do.
type Scope string

// Scopes of keys. Admin holds all the others.
const (
	ScopeCampaignsWrite Scope = "campaigns:write"
	ScopeEventsWrite    Scope = "events:write"
	ScopeMembersWrite   Scope = "members:write"
	ScopeMembersRead    Scope = "members:read"
	ScopeReferralsWrite Scope = "referrals:write"
	ScopeReviewsDecide  Scope = "reviews:decide"
	ScopeReportsRead    Scope = "reports:read"
	ScopeAdmin          Scope = "admin"
)

// Scopes lists every scope.
func Scopes() []Scope {
	return []Scope{
		ScopeCampaignsWrite, ScopeEventsWrite, ScopeMembersWrite, ScopeMembersRead, ScopeReferralsWrite,
		ScopeReviewsDecide, ScopeReportsRead, ScopeAdmin,
	}
}

// Key is an API key without its secret.
type Key struct {
	ID        int64
	Name      string
	Prefix    string // the first characters, to recognise it
	Scopes    []Scope
	CreatedAt time.Time
	ExpiresAt *time.Time
	RevokedAt *time.Time
}

// May reports whether the key has a scope.
func (k Key) May(scope Scope) bool {
	for _, has := range k.Scopes {
		if has == scope || has == ScopeAdmin {
			return true
		}
	}
	return false
}

const (
	keyPrefix      = "byn_"
	keyPrefixShown = len(keyPrefix) + 4
	bootstrapName  = "BANYAN_ADMIN_KEY"

	// MinBootstrapKey is the fewest characters of an admin key that an operator sets.
	MinBootstrapKey = 24
)

// CreateKey makes a key. The secret is answered here and never again.
func (s *Store) CreateKey(ctx context.Context, name string, scopes []Scope, expires time.Time) (secret string, key Key, err error) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails: the runtime ends the process instead
	secret = keyPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	hash := sha256.Sum256([]byte(secret))
	params := db.InsertKeyParams{Name: name, Hash: hash[:], Prefix: secret[:keyPrefixShown], Scopes: []string{}}
	for _, scope := range scopes {
		params.Scopes = append(params.Scopes, string(scope))
	}
	if !expires.IsZero() {
		params.ExpiresAt = &expires
	}
	row, err := s.queries.InsertKey(ctx, params)
	if err != nil {
		return "", Key{}, translate(err, "store the key")
	}
	return secret, keyOf(db.ListKeysRow{
		ID: row.ID, Name: row.Name, Prefix: row.Prefix, Scopes: row.Scopes, CreatedAt: row.CreatedAt,
		ExpiresAt: row.ExpiresAt, RevokedAt: row.RevokedAt,
	}), nil
}

// Keys lists all keys, revoked ones too.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	rows, err := s.queries.ListKeys(ctx)
	if err != nil {
		return nil, translate(err, "list the keys")
	}
	out := make([]Key, len(rows))
	for i, r := range rows {
		out[i] = keyOf(r)
	}
	return out, nil
}

// RevokeKey ends a key for good. Other processes notice within keyCacheAge.
func (s *Store) RevokeKey(ctx context.Context, id int64) error {
	n, err := s.queries.RevokeKey(ctx, id)
	if err != nil {
		return translate(err, "revoke the key")
	}
	if n == 0 {
		return campaign.Errorf(campaign.CodeNotFound, "there is no key %d", id)
	}
	s.keys.forget(id)
	return nil
}

// SetBootstrapKey makes the operator's own admin key valid, and the one that stood in
// its place before invalid. An empty secret revokes what there was.
func (s *Store) SetBootstrapKey(ctx context.Context, secret string) error {
	if secret != "" && len(secret) < MinBootstrapKey {
		return campaign.Errorf(campaign.CodeInvalid, "%s has %d characters; it needs at least %d", bootstrapName, len(secret), MinBootstrapKey)
	}
	hash := sha256.Sum256([]byte(secret))
	err := s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if err := q.RevokeOtherBootstrapKeys(ctx, bootstrapName, hash[:]); err != nil || secret == "" {
			return err
		}
		return q.PutBootstrapKey(ctx, bootstrapName, hash[:])
	})
	return translate(err, "store the admin key")
}

// Authenticate finds the key of a secret. ok is false for one that is unknown, revoked
// or expired.
func (s *Store) Authenticate(ctx context.Context, secret string) (key Key, ok bool, err error) {
	hash := sha256.Sum256([]byte(secret))
	now := time.Now()
	if key, ok = s.keys.get(hash, now); ok {
		return key, true, nil
	}
	row, err := s.queries.KeyByHash(ctx, hash[:])
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, false, nil
	}
	if err != nil {
		return Key{}, false, translate(err, "look up the key")
	}
	// The index found it by its hash; this comparison is what decides, in constant time.
	if subtle.ConstantTimeCompare(row.Hash, hash[:]) != 1 {
		return Key{}, false, nil
	}
	key = keyOf(db.ListKeysRow{
		ID: row.ID, Name: row.Name, Prefix: row.Prefix, Scopes: row.Scopes, CreatedAt: row.CreatedAt,
		ExpiresAt: row.ExpiresAt, RevokedAt: row.RevokedAt,
	})
	s.keys.put(hash, key, now)
	return key, true, nil
}

func keyOf(r db.ListKeysRow) Key {
	k := Key{ID: r.ID, Name: r.Name, Prefix: r.Prefix, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, RevokedAt: r.RevokedAt}
	for _, scope := range r.Scopes {
		k.Scopes = append(k.Scopes, Scope(scope))
	}
	return k
}

// keyCacheAge is how long a key is believed without asking PostgreSQL, and so how long
// a key that was revoked by another process still works.
const (
	keyCacheAge  = 5 * time.Second
	keyCacheSize = 10_000
)

// keyCache holds valid keys by the hash of their secret; secrets are never kept.
type keyCache struct {
	mu   sync.Mutex
	keys map[[sha256.Size]byte]cachedKey
}

type cachedKey struct {
	key  Key
	read time.Time
}

func (c *keyCache) get(hash [sha256.Size]byte, now time.Time) (Key, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hit, ok := c.keys[hash]
	if !ok || now.Sub(hit.read) > keyCacheAge || hit.key.ExpiresAt != nil && !now.Before(*hit.key.ExpiresAt) {
		return Key{}, false
	}
	return hit.key, true
}

func (c *keyCache) put(hash [sha256.Size]byte, key Key, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= keyCacheSize {
		c.keys = make(map[[sha256.Size]byte]cachedKey)
	}
	c.keys[hash] = cachedKey{key, now}
}

func (c *keyCache) forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hash, hit := range c.keys {
		if hit.key.ID == id {
			delete(c.keys, hash)
		}
	}
}

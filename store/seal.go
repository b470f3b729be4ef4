package store

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// AddressKey is a key under which the installation's data key is sealed: 32 bytes.
type AddressKey [32]byte

// String hides the key, should somebody print it.
func (AddressKey) String() string { return "(an address key)" }

// GoString hides the key.
func (k AddressKey) GoString() string { return k.String() }

const maxAddressKeys = 3

// ParseAddressKeys reads keys, separated by commas, of 32 bytes each in hexadecimal or
// base64. The first seals; the others open what was sealed by them before. The error does
// not quote them.
func ParseAddressKeys(text string) (keys []AddressKey, err error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		var raw []byte
		for _, decode := range []func(string) ([]byte, error){
			hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
		} {
			if raw, err = decode(part); err == nil && len(raw) == len(AddressKey{}) {
				break
			}
			raw = nil
		}
		if raw == nil || len(keys) == maxAddressKeys {
			return nil, campaign.Errorf(campaign.CodeInvalid,
				"BANYAN_ADDRESS_KEY is a key of 32 bytes in hexadecimal or base64, such as openssl rand -hex 32 prints, and up to two older ones behind it, separated by commas")
		}
		keys = append(keys, AddressKey(raw))
	}
	return keys, nil
}

// sealer seals addresses and makes their hashes. Without a key it leaves addresses as they
// are.
type sealer struct {
	aead cipher.AEAD // nil: addresses are kept as they are
	hash []byte
}

// sealing is the store's sealer, once it is known.
type sealing struct {
	mu   sync.Mutex
	keys []AddressKey
	have *sealer
}

// WithAddressKeys sets the keys that ParseAddressKeys read. Without any, addresses are kept
// as they are.
func WithAddressKeys(s *Store, keys []AddressKey) {
	s.sealing.mu.Lock()
	defer s.sealing.mu.Unlock()
	s.sealing.keys, s.sealing.have = keys, nil
}

// ErrSealed says that the configured keys do not open the addresses that are stored.
var ErrSealed = campaign.Errorf(campaign.CodeUnavailable,
	"the addresses of members are sealed, and BANYAN_ADDRESS_KEY is not the key that opens them: set the one under which they were stored")

// sealer gives the sealer. It makes the data key where a key is configured for the first
// time, and seals it anew where the first of several keys is new.
func (s *Store) sealer(ctx context.Context) (*sealer, error) {
	s.sealing.mu.Lock()
	defer s.sealing.mu.Unlock()
	if s.sealing.have != nil {
		return s.sealing.have, nil
	}
	var have *sealer
	err := s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) (err error) {
		have, err = openDataKey(ctx, q, s.sealing.keys)
		return err
	})
	if err != nil {
		return nil, translate(err, "open the key of the addresses")
	}
	s.sealing.have = have
	return have, nil
}

func openDataKey(ctx context.Context, q *db.Queries, keys []AddressKey) (*sealer, error) {
	wrapped, err := q.DataKey(ctx)
	none := errors.Is(err, pgx.ErrNoRows)
	switch {
	case err != nil && !none:
		return nil, err
	case none && len(keys) == 0:
		return &sealer{hash: []byte(plainKey)}, nil
	case none:
		var fresh [32]byte
		_, _ = rand.Read(fresh[:]) // never fails: the runtime ends the process instead
		if err := q.PutDataKey(ctx, wrapKey(keys[0], fresh[:])); err != nil {
			return nil, err
		}
		// Another process may have been first.
		if wrapped, err = q.DataKey(ctx); err != nil {
			return nil, err
		}
	}
	for i, key := range keys {
		data, ok := unwrapKey(key, wrapped)
		if !ok {
			continue
		}
		if i > 0 {
			if err := q.RewrapDataKey(ctx, wrapKey(keys[0], data), wrapped); err != nil {
				return nil, err
			}
		}
		return sealerOf(data)
	}
	return nil, ErrSealed
}

// plainKey is what hashes are made with where there is no key.
const plainKey = "banyan"

const (
	wrapLabel    = "banyan data key"
	addressLabel = "banyan addresses"
	hashLabel    = "banyan address hashes"
)

func wrapKey(key AddressKey, data []byte) []byte {
	aead := aeadOf(key[:])
	return seal(aead, data, []byte(wrapLabel))
}

func unwrapKey(key AddressKey, wrapped []byte) ([]byte, bool) {
	return unseal(aeadOf(key[:]), wrapped, []byte(wrapLabel))
}

// sealerOf derives one key for each purpose (RFC 5869).
func sealerOf(data []byte) (*sealer, error) {
	address, err := hkdf.Key(sha256.New, data, nil, addressLabel, 32)
	if err != nil {
		return nil, err
	}
	hash, err := hkdf.Key(sha256.New, data, nil, hashLabel, 32)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aeadOf(address), hash: hash}, nil
}

// aeadOf is AES-256-GCM. A random nonce of 96 bits is safe for 2^32 addresses under one
// key (NIST SP 800-38D, 8.3).
func aeadOf(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // every key here has 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func seal(aead cipher.AEAD, text, bound []byte) []byte {
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(text)+aead.Overhead())
	_, _ = rand.Read(nonce)
	return aead.Seal(nonce, nonce, text, bound)
}

func unseal(aead cipher.AEAD, sealed, bound []byte) ([]byte, bool) {
	if len(sealed) < aead.NonceSize() {
		return nil, false
	}
	text, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], bound)
	return text, err == nil
}

// bound ties a sealed address to its row: moved to another member it does not open.
func bound(member string, kind campaign.IdentityKind, account string) []byte {
	return bytes.Join([][]byte{[]byte(member), []byte(kind), []byte(account)}, []byte{0})
}

// seal gives an address as it is stored.
func (s *sealer) seal(member string, kind campaign.IdentityKind, account, address string) (stored []byte, sealed bool) {
	if s.aead == nil {
		return []byte(address), false
	}
	return seal(s.aead, []byte(address), bound(member, kind, account)), true
}

// open reads an address as it is stored.
func (s *sealer) open(member string, kind campaign.IdentityKind, account string, stored []byte, sealed bool) (string, error) {
	if !sealed || len(stored) == 0 {
		return string(stored), nil
	}
	if s.aead == nil {
		return "", ErrSealed
	}
	text, ok := unseal(s.aead, stored, bound(member, kind, account))
	if !ok {
		return "", ErrSealed
	}
	return string(text), nil
}

// hashOf is what an address is looked up by.
func (s *sealer) hashOf(kind campaign.IdentityKind, account, address string) []byte {
	mac := hmac.New(sha256.New, s.hash)
	for _, part := range []string{string(kind), account, campaign.SameAddress(kind, address)} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return mac.Sum(nil)
}

// OpensAddresses reports whether addresses are sealed. An error says that these keys do not
// open them. It changes nothing.
func (s *Store) OpensAddresses(ctx context.Context, keys []AddressKey) (sealed bool, err error) {
	wrapped, err := s.queries.DataKey(ctx)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case hasCode(err, pgUndefinedTable): // told of by another check
		return false, nil
	case err != nil:
		return false, translate(err, "read the key of the addresses")
	}
	for _, key := range keys {
		if _, ok := unwrapKey(key, wrapped); ok {
			return true, nil
		}
	}
	return true, ErrSealed
}

// SealAddresses makes sure that the configured keys open the addresses that are stored,
// and seals those that were stored before there was a key, callbacks, and the codes of coupons.
func (s *Store) SealAddresses(ctx context.Context) error {
	have, err := s.sealer(ctx)
	if err != nil || have.aead == nil {
		return err
	}
	if err := s.sealIdentities(ctx, have); err != nil {
		return err
	}
	if err := s.sealCallbacks(ctx, have); err != nil {
		return err
	}
	return s.sealCoupons(ctx, have)
}

func (s *Store) sealIdentities(ctx context.Context, have *sealer) error {
	for after := int64(0); ; {
		var page []db.PlainIdentitiesRow
		err := s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) (err error) {
			if page, err = q.PlainIdentities(ctx, after); err != nil {
				return err
			}
			for _, r := range page {
				kind := campaign.IdentityKind(r.Kind)
				stored, _ := have.seal(r.Member, kind, r.Account, string(r.Address))
				hash := have.hashOf(kind, r.Account, string(r.Address))
				if _, err := tx.Exec(ctx, sealPermitsSQL, r.ID, hash); err != nil {
					return err
				}
				if err := q.SealIdentity(ctx, stored, hash, r.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return translate(err, "seal addresses")
		}
		if len(page) == 0 {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// One that another row has sealed already stays as it is, and is found by what it is.
const sealCouponsSQL = `
update coupons c set code = i.code, hash = i.hash, sealed = true
  from unnest($1::bigint[], $2::bytea[], $3::bytea[]) as i (id, code, hash)
 where c.id = i.id and not exists (select from coupons x where x.hash = i.hash)`

func (s *Store) sealCoupons(ctx context.Context, have *sealer) error {
	for after := int64(0); ; {
		var page []db.PlainCouponsRow
		err := s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) (err error) {
			if page, err = q.PlainCoupons(ctx, after); err != nil || len(page) == 0 {
				return err
			}
			ids, codes, hashes := make([]int64, len(page)), make([][]byte, len(page)), make([][]byte, len(page))
			for i, r := range page {
				ids[i], hashes[i] = r.ID, have.hashOfCode(string(r.Code))
				codes[i], _ = have.sealCode(r.Campaign, r.Reward, string(r.Code))
			}
			_, err = tx.Exec(ctx, sealCouponsSQL, ids, codes, hashes)
			return err
		})
		if err != nil {
			return translate(err, "seal the codes of coupons")
		}
		if len(page) == 0 {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

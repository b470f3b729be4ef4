// Package attribution makes and reads the parameter of a link that says who brought a
// visitor and where: signed, so that nobody can make one that names another inviter,
// channel or day.
//
// There are two forms. Both use characters of base64url alone (A-Z a-z 0-9 - _), which need no
// escaping in a URL and are allowed in a mini program's scene and a contact way's state.
//
// The full form ([Sign], [Verify]) carries the whole claim. With the names of the model
// campaigns it has 70 to 90 characters, and never more than [MaxToken]: right for links and
// the QR codes made from them.
//
// The compact form ([SignCompact], [Verifier.Compact]) always has [CompactLen] = 30 characters, which
// is what the narrowest places of WeChat take: scene of a mini program's code at most 32
// visible characters, state of WeCom's "contact me" and join-group codes at most 30, scene_str of
// an official account's code at most 64. It carries the inviter's code and the minute, and
// names of campaign, journey and channel by a hash, so that whoever reads it must know which
// there are.
//
// # Strength
//
// Both forms are authenticated with HMAC-SHA256, cut to 128 bits in the full form and to 64
// bits in the compact one. A forger cannot try tokens without asking the server. At a thousand
// guesses a second, 64 bits are guessed once in 300 million years on average; what is won is a
// wrong line in a report, because an inviter's code is public anyhow. NIST SP 800-107
// rev. 1, 5.3.4, asks for 32 bits or more where guesses are counted like this.
//
// A token is no secret and can be used again by whoever sees it: that is what a poster is
// for. What must not be counted twice is guarded where it is counted.
package attribution

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MinKeyBytes is the shortest key that signs: 128 bits, if it is random.
	MinKeyBytes = 16
	// MaxKeys is how many keys are believed at once: one that signs, and others that did.
	MaxKeys = 8
	// MaxName is the longest campaign, journey or channel, in bytes.
	MaxName = 64
	// MaxInviter is the longest inviter, in bytes: that of a member's id.
	MaxInviter = 128
	// MaxToken is the longest token, in characters.
	MaxToken = (maxBytes*8 + 5) / 6
	// MaxAge is how old a token is believed unless somebody says otherwise: a year and a
	// day, so that a poster of last year's anniversary ends with this year's. How long an
	// invitation counts is the campaign's to say, and shorter.
	MaxAge = 366 * 24 * time.Hour
	// Skew is how far a token may come from the future, because clocks differ.
	Skew = 5 * time.Minute

	formFull    = 0x10 // the high half says which form, the low half is for what follows it
	formCompact = 0x20
	fullMAC     = 16
	compactMAC  = 8
	timeBytes   = 5 // seconds since 1970, until the year 36812
	maxBytes    = 1 + timeBytes + 4*1 + 3*MaxName + MaxInviter + fullMAC
	fullLabel   = "banyan attribution 1\x00"
)

// Why a token is refused.
var (
	ErrMalformed = errors.New("the attribution is damaged")
	ErrForged    = errors.New("the attribution is not signed by us")
	ErrExpired   = errors.New("the attribution is too old")
	ErrEarly     = errors.New("the attribution is from the future")
	ErrUnknown   = errors.New("the attribution is of another campaign, journey or channel, or not by us")
	ErrKey       = errors.New("attributions are signed and read with one to 8 keys of at least 16 bytes")
	ErrClaim     = errors.New("this cannot be signed")
)

// Claim is what a token says. The campaign is always named; what else is known is
// named too.
type Claim struct {
	Campaign string    // its name, at most MaxName bytes
	Journey  string    // of the campaign, if the link leads to one
	Channel  string    // where the link was shown, such as wechat, poster, sms
	Inviter  string    // the inviter's code, or another opaque id; no name, no phone number
	At       time.Time // when the link was made; kept to the second, in the compact form to the minute
}

// Check says why a claim cannot be signed: an error that is ErrClaim, or nil.
func (a Claim) Check() error {
	for _, f := range []struct {
		name, value string
		most        int
	}{{"campaign", a.Campaign, MaxName}, {"journey", a.Journey, MaxName}, {"channel", a.Channel, MaxName}, {"inviter", a.Inviter, MaxInviter}} {
		if len(f.value) > f.most {
			return fmt.Errorf("the %s has %d bytes, at most %d are signed: %w", f.name, len(f.value), f.most, ErrClaim)
		}
		if !utf8.ValidString(f.value) {
			return fmt.Errorf("the %s is no UTF-8: %w", f.name, ErrClaim)
		}
	}
	if a.Campaign == "" {
		return fmt.Errorf("the campaign is missing: %w", ErrClaim)
	}
	if s := a.At.Unix(); s <= 0 || s >= 1<<(8*timeBytes) {
		return fmt.Errorf("the moment %v is missing or out of range: %w", a.At, ErrClaim)
	}
	return nil
}

// Sign makes the full form. It gives the empty string, which is believed nowhere, for a claim
// that Check refuses and for a key of less than MinKeyBytes. The same claim and key always
// give the same token.
func Sign(key []byte, a Claim) string {
	if len(key) < MinKeyBytes || a.Check() != nil {
		return ""
	}
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(a.At.Unix()))
	b := append([]byte{formFull}, at[8-timeBytes:]...)
	for _, s := range []string{a.Campaign, a.Journey, a.Channel, a.Inviter} {
		b = append(append(b, byte(len(s))), s...)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, mac(key, fullLabel, b)[:fullMAC]...))
}

// Verify reads the full form that was signed with key, at most MaxAge before now. The error
// says what is wrong and is one of those of this package.
func Verify(key []byte, token string, now time.Time) (Claim, error) {
	return Verifier{Keys: [][]byte{key}}.Verify(token, now)
}

// Verifier reads tokens that were signed with one of several keys, so that a key can
// be changed: the new one signs, the old one stays here until its last link is too old.
type Verifier struct {
	Keys   [][]byte
	MaxAge time.Duration // 0 is the constant MaxAge
}

// Verify reads the full form.
func (v Verifier) Verify(token string, now time.Time) (Claim, error) {
	raw, err := v.decode(token, formFull, MaxToken)
	if err != nil {
		return Claim{}, err
	}
	claim, signed, err := parse(raw)
	if err != nil {
		return Claim{}, err
	}
	ours := false
	for _, key := range v.Keys { // all of them, so that the time taken does not tell which
		ours = hmac.Equal(raw[signed:], mac(key, fullLabel, raw[:signed])[:fullMAC]) || ours
	}
	if !ours {
		return Claim{}, ErrForged
	}
	return v.inTime(claim, now)
}

// parse reads the bytes of the full form; signed is where its signature begins.
func parse(raw []byte) (a Claim, signed int, err error) {
	cut := fmt.Errorf("a part of it is missing: %w", ErrMalformed)
	if len(raw) < 1+timeBytes {
		return a, 0, cut
	}
	if raw[0] != formFull {
		return a, 0, fmt.Errorf("its form is not known here: %w", ErrMalformed)
	}
	var at [8]byte
	copy(at[8-timeBytes:], raw[1:])
	a.At = time.Unix(int64(binary.BigEndian.Uint64(at[:])), 0).UTC()
	rest := raw[1+timeBytes:]
	for _, to := range []*string{&a.Campaign, &a.Journey, &a.Channel, &a.Inviter} {
		if len(rest) == 0 || len(rest) <= int(rest[0]) {
			return a, 0, cut
		}
		*to, rest = string(rest[1:1+rest[0]]), rest[1+rest[0]:]
	}
	switch {
	case len(rest) < fullMAC:
		return a, 0, cut
	case len(rest) > fullMAC:
		return a, 0, fmt.Errorf("something follows it: %w", ErrMalformed)
	}
	return a, len(raw) - fullMAC, nil
}

// decode reads the characters of a token of one form.
func (v Verifier) decode(token string, form byte, longest int) ([]byte, error) {
	if len(v.Keys) == 0 || len(v.Keys) > MaxKeys {
		return nil, ErrKey
	}
	for _, key := range v.Keys {
		if len(key) < MinKeyBytes {
			return nil, ErrKey
		}
	}
	if token == "" {
		return nil, fmt.Errorf("it is empty: %w", ErrMalformed)
	}
	if half := token[:len(token)/2]; half+half == token {
		return nil, fmt.Errorf("it is there twice: %w", ErrMalformed)
	}
	if len(token) > longest {
		return nil, fmt.Errorf("it has %d characters, at most %d are read: %w", len(token), longest, ErrMalformed)
	}
	if strings.ContainsAny(token, "\r\n") { // which base64 would pass over
		return nil, fmt.Errorf("it has line breaks: %w", ErrMalformed)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, fmt.Errorf("it has characters that no token has, or lacks some: %w", ErrMalformed)
	}
	if other := formFull ^ formCompact ^ form; raw[0]&0xf0 == other {
		return nil, fmt.Errorf("it is of the other form, full or compact: %w", ErrMalformed)
	}
	return raw, nil
}

func (v Verifier) inTime(a Claim, now time.Time) (Claim, error) {
	age, most := now.Sub(a.At), v.MaxAge
	if most <= 0 {
		most = MaxAge
	}
	if age > most {
		return Claim{}, fmt.Errorf("it was made at %s: %w", a.At.Format(time.RFC3339), ErrExpired)
	}
	if age < -Skew {
		return Claim{}, fmt.Errorf("it was made at %s: %w", a.At.Format(time.RFC3339), ErrEarly)
	}
	return a, nil
}

func mac(key []byte, label string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

package attribution

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/banyanhq/banyan/codes"
)

// CompactLen is how many characters every token of the compact form has.
const CompactLen = 30

// MaxCompactCode is the longest inviter's code that the compact form takes.
const MaxCompactCode = 13

// The 22 bytes of the compact form: form and length of the code, minutes since the epoch,
// hash of the place, the code as a number, signature.
const (
	minuteBytes  = 3
	placeBytes   = 3
	codeBytes    = 7
	compactSigns = 1 + minuteBytes + placeBytes + codeBytes
	compactBytes = compactSigns + compactMAC
	compactLabel = "banyan attribution compact 1\x00"
)

// epoch is where the minutes of the compact form begin; they last until November 2056.
var epoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Place is where links of a campaign lead and are shown: what the compact form names by a
// hash.
type Place struct{ Campaign, Journey, Channel string }

// bytes is a place so that no two places are the same bytes.
func (p Place) bytes() []byte {
	var b []byte
	for _, s := range []string{p.Campaign, p.Journey, p.Channel} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// SignCompact makes the compact form. The inviter must be a code of package codes of at most
// MaxCompactCode characters; the error says what cannot be signed.
func SignCompact(key []byte, a Claim) (string, error) {
	if len(key) < MinKeyBytes {
		return "", ErrKey
	}
	if err := a.Check(); err != nil {
		return "", err
	}
	minutes := int64(a.At.Sub(epoch) / time.Minute)
	if a.At.Before(epoch) || minutes >= 1<<(8*minuteBytes) {
		return "", fmt.Errorf("the moment %v is out of the range of the compact form: %w", a.At, ErrClaim)
	}
	if !codes.Valid(a.Inviter) || len(a.Inviter) > MaxCompactCode {
		return "", fmt.Errorf("the inviter is no code of at most %d characters: %w", MaxCompactCode, ErrClaim)
	}
	place := Place{a.Campaign, a.Journey, a.Channel}.bytes()
	b := make([]byte, 0, compactBytes)
	b = append(b, formCompact|byte(len(a.Inviter)-codes.MinLength))
	b = appendBytes(b, uint64(minutes), minuteBytes)
	b = append(b, fingerprint(place)...)
	b = appendBytes(b, number(a.Inviter), codeBytes)
	b = append(b, mac(key, compactLabel, b, place)[:compactMAC]...)
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// Compact reads the compact form. The places are all that there are links of; which of
// them it is the token says by its hash and its signature, so that two places of the same
// hash are told apart.
func (v Verifier) Compact(token string, now time.Time, places ...Place) (Claim, error) {
	raw, err := v.decode(token, formCompact, CompactLen)
	if err != nil {
		return Claim{}, err
	}
	if len(raw) != compactBytes {
		return Claim{}, fmt.Errorf("a part of it is missing: %w", ErrMalformed)
	}
	length := codes.MinLength + int(raw[0]&0x0f)
	if raw[0]&0xf0 != formCompact || length > MaxCompactCode {
		return Claim{}, fmt.Errorf("its form is not known here: %w", ErrMalformed)
	}
	found := -1
	for i, p := range places {
		place := p.bytes()
		if string(fingerprint(place)) != string(raw[1+minuteBytes:1+minuteBytes+placeBytes]) {
			continue
		}
		for _, key := range v.Keys {
			if hmac.Equal(raw[compactSigns:], mac(key, compactLabel, raw[:compactSigns], place)[:compactMAC]) {
				found = i
			}
		}
	}
	if found < 0 {
		return Claim{}, ErrUnknown
	}
	inviter, err := code(readBytes(raw[1+minuteBytes+placeBytes:compactSigns]), length)
	if err != nil {
		return Claim{}, err
	}
	p := places[found]
	return v.inTime(Claim{
		Campaign: p.Campaign, Journey: p.Journey, Channel: p.Channel, Inviter: inviter,
		At: epoch.Add(time.Duration(readBytes(raw[1:1+minuteBytes])) * time.Minute),
	}, now)
}

func fingerprint(place []byte) []byte {
	sum := sha256.Sum256(place)
	return sum[:placeBytes]
}

// number is a code without its check character as a number to the base of the alphabet:
// 12 characters are less than 2^55.
func number(code string) uint64 {
	n := uint64(0)
	for i := range len(code) - 1 {
		n = n*uint64(len(codes.Alphabet)) + uint64(strings.IndexByte(codes.Alphabet, code[i]))
	}
	return n
}

// code is the code of a length that number makes into n.
func code(n uint64, length int) (string, error) {
	body := make([]byte, length-1)
	for i := length - 2; i >= 0; i-- {
		body[i] = codes.Alphabet[n%uint64(len(codes.Alphabet))]
		n /= uint64(len(codes.Alphabet))
	}
	check, err := codes.Check(string(body))
	if err != nil || n != 0 {
		return "", fmt.Errorf("its inviter is no code: %w", ErrMalformed)
	}
	return string(append(body, check)), nil
}

func appendBytes(b []byte, n uint64, bytes int) []byte {
	var all [8]byte
	binary.BigEndian.PutUint64(all[:], n)
	return append(b, all[8-bytes:]...)
}

func readBytes(b []byte) uint64 {
	var all [8]byte
	copy(all[8-len(b):], b)
	return binary.BigEndian.Uint64(all[:])
}

package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader carries `t=UNIX,v1=HEX`: the moment of sending and the HMAC-SHA256 of
// "t.body" under the shared secret. While secrets are being changed there is one v1 for
// each of them.
const SignatureHeader = "Banyan-Signature"

// DefaultTolerance is how far apart the clocks of sender and receiver may be: enough
// for machines without time synchronisation, short for who replays a request.
const DefaultTolerance = 5 * time.Minute

// maxSignatures bounds the work that a forged header can ask for; a sender writes at
// most three.
const maxSignatures = 8

// What Verify finds wrong.
var (
	ErrNoSecret           = errors.New("no secret to verify with")
	ErrMalformedSignature = errors.New("the signature header is missing or malformed")
	ErrWrongSignature     = errors.New("the signature does not match the body")
	ErrStaleSignature     = errors.New("the signature's time is too far from now")
)

// Sign gives the header's value for a body sent at a moment, with one v1 per secret.
func Sign(body []byte, at time.Time, secrets ...string) string {
	t := strconv.FormatInt(at.Unix(), 10)
	var b strings.Builder
	b.WriteString("t=" + t)
	for _, secret := range secrets {
		b.WriteString(",v1=" + hex.EncodeToString(digest(secret, t, body)))
	}
	return b.String()
}

// Verify checks the header's value against the raw body, as it came and before any JSON
// is read. One matching v1 is enough. Names that it does not know are passed over, so
// that a later version can sign in another way beside this one.
func Verify(secret, header string, body []byte, now time.Time, tolerance time.Duration) error {
	if secret == "" {
		return ErrNoSecret // an HMAC without a key is one that everybody can make
	}
	var t string
	var signatures [][]byte
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if t != "" {
				return ErrMalformedSignature
			}
			t = value
		case "v1":
			mac, err := hex.DecodeString(value)
			if err != nil || len(signatures) == maxSignatures {
				return ErrMalformedSignature
			}
			signatures = append(signatures, mac)
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || len(signatures) == 0 {
		return ErrMalformedSignature
	}

	want, matches := digest(secret, t, body), false
	for _, mac := range signatures {
		// Constant in time for each, and all are compared, so that an answer's delay
		// tells nothing of where or how nearly one matched.
		if hmac.Equal(mac, want) {
			matches = true
		}
	}
	if !matches {
		return ErrWrongSignature
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrStaleSignature
	}
	return nil
}

func digest(secret, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

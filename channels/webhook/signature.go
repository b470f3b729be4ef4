package webhook

import (
	"time"

	"github.com/banyanhq/banyan/channels/outbound"
)

// SignatureHeader carries `t=UNIX,v1=HEX`: the moment of sending and the HMAC-SHA256 of
// "t.body" under the shared secret. While secrets are being changed there is one v1 for
// each of them.
const SignatureHeader = outbound.SignatureHeader

// DefaultTolerance is how far apart the clocks of sender and receiver may be.
const DefaultTolerance = outbound.DefaultTolerance

// What Verify finds wrong.
var (
	ErrNoSecret           = outbound.ErrNoSecret
	ErrMalformedSignature = outbound.ErrMalformedSignature
	ErrWrongSignature     = outbound.ErrWrongSignature
	ErrStaleSignature     = outbound.ErrStaleSignature
)

// Sign gives the header's value for a body sent at a moment, with one v1 per secret.
func Sign(body []byte, at time.Time, secrets ...string) string {
	return outbound.Sign(body, at, secrets...)
}

// Verify checks the header's value against the raw body, as it came and before any JSON
// is read. One matching v1 is enough. Names that it does not know are passed over, so
// that a later version can sign in another way beside this one.
func Verify(secret, header string, body []byte, now time.Time, tolerance time.Duration) error {
	return outbound.Verify(secret, header, body, now, tolerance)
}

// HeaderKey writes an effect key as a header may carry it: percent-encoded where it
// holds anything but visible ASCII. The body's `key` is the plain one.
func HeaderKey(key string) string { return outbound.HeaderKey(key) }

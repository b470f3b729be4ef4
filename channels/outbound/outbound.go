// Package outbound is what channels over HTTP have in common: a signed POST under an
// idempotency key, to a public address, whose end is told honestly.
package outbound

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Headers of a request, beside Content-Type.
const (
	// KeyHeader carries the effect key, by the name that payment and messaging APIs use
	// (IETF draft-ietf-httpapi-idempotency-key-header).
	KeyHeader = "Idempotency-Key"
	// AttemptHeader carries the number of the attempt. It is outside of the body, which
	// stays the same, byte for byte, over all attempts.
	AttemptHeader = "Banyan-Attempt"
)

const (
	// MinSecretBytes is the shortest secret that is taken: 128 bits, if it is random.
	// Whoever sees one signed request can try shorter ones at leisure.
	MinSecretBytes = 16
	// MaxSecrets is the old and the new one, and one more for a rotation that stuck.
	MaxSecrets = 3
	// MaxRetryAfter bounds what a receiver may ask for. A longer wait is more likely a
	// mistake than a plan, and asking once an hour harms nobody.
	MaxRetryAfter = time.Hour
	// MaxAnswer is how much of an answer is read, its headers apart.
	MaxAnswer = 64 << 10
)

// Secrets reads secrets that are separated by commas: the setting's name is for the error,
// which never quotes them.
func Secrets(setting, list string) ([]string, error) {
	var secrets []string
	for secret := range strings.SplitSeq(list, ",") {
		if secret = strings.TrimSpace(secret); len(secret) < MinSecretBytes {
			secrets = nil
			break
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 || len(secrets) > MaxSecrets {
		return nil, fmt.Errorf("%s needs one to %d secrets of at least %d bytes, separated by commas", setting, MaxSecrets, MinSecretBytes)
	}
	return secrets, nil
}

// HeaderKey writes an effect key as a header may carry it: percent-encoded where it
// holds anything but visible ASCII, because member ids may be in any script. The body's
// `key` is the plain one, and the one that is signed.
func HeaderKey(key string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(key) {
		if ch := key[i]; ch > ' ' && ch < 0x7f && ch != '%' {
			b.WriteByte(ch)
		} else {
			b.Write([]byte{'%', hex[ch>>4], hex[ch&15]})
		}
	}
	return b.String()
}

// RetryAfter reads seconds or an HTTP date (RFC 9110, 10.2.3), within MaxRetryAfter.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// WorthRetry reports whether a status says that it was not taken now and may be later.
func WorthRetry(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests || status >= 500
}

// Transport makes the connection pool. timeout bounds connecting; allowed says which
// addresses may be dialled, nil: all.
//
// The environment's proxies are ignored: through a proxy we would dial the proxy and
// could not judge the receiver's address. HTTP/1 alone is spoken: with HTTP/2 one
// broken connection makes the outcome of everything on it unknown at once.
func Transport(allowed func(netip.Addr) bool, timeout time.Duration, connections int) *http.Transport {
	dialer := &net.Dialer{Timeout: timeout}
	if allowed != nil {
		dialer.ControlContext = refusing(allowed)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dialer.DialContext,
		Protocols:              protocols,
		TLSHandshakeTimeout:    timeout,
		MaxConnsPerHost:        connections,
		MaxIdleConns:           connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        30 * time.Second, // under the 60 s after which common servers hang up
		DisableCompression:     true,             // so that the limit on an answer is one on the wire
		MaxResponseHeaderBytes: MaxAnswer,
	}
}

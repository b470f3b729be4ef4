// Package optout makes and reads the links by which a member says no to a channel. A link
// names the identity by its number and nothing else: no address, no member.
package optout

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

const (
	// Path is where the server takes opt-outs, followed by a token.
	Path = "/unsubscribe/"
	// MinSecretBytes is the shortest secret that is taken: 128 bits, if it is random.
	MinSecretBytes = 16

	label     = "banyan opt-out 1\x00"
	macBytes  = 16 // 128 bits: guessing one means asking our server
	maxSecret = 3
)

// Links makes links and reads them. The zero Links makes none and believes none.
type Links struct {
	base    string
	secrets [][]byte
}

// New checks the address under which members reach the server, and the secrets that sign
// links: the first signs, the others are believed still. The error names the settings and
// does not quote the secret.
func New(publicURL, secrets string) (Links, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return Links{}, campaign.Errorf(campaign.CodeInvalid,
			"BANYAN_PUBLIC_URL is the address under which members reach banyan serve, such as https://banyan.shop.example.com")
	}
	l := Links{base: strings.TrimSuffix(publicURL, "/")}
	for secret := range strings.SplitSeq(secrets, ",") {
		secret = strings.TrimSpace(secret)
		if len(secret) < MinSecretBytes || len(l.secrets) == maxSecret {
			return Links{}, campaign.Errorf(campaign.CodeInvalid,
				"BANYAN_LINK_SECRET needs one to %d secrets of at least %d bytes, separated by commas", maxSecret, MinSecretBytes)
		}
		l.secrets = append(l.secrets, []byte(secret))
	}
	return l, nil
}

// Ready reports whether links can be made.
func (l Links) Ready() bool { return len(l.secrets) > 0 }

// String hides the secrets, should somebody print it.
func (l Links) String() string { return "links to " + l.base }

// GoString hides the secrets.
func (l Links) GoString() string { return l.String() }

// URL is the link by which whoever is reached by an identity opts out of it.
func (l Links) URL(identity int64) string { return l.base + Path + l.token(identity) }

func (l Links) token(identity int64) string {
	token := binary.BigEndian.AppendUint64(nil, uint64(identity))
	return base64.RawURLEncoding.EncodeToString(append(token, mac(l.secrets[0], token)...))
}

// Read finds the identity that a token names; ok is false for a token that is not ours.
func (l Links) Read(token string) (identity int64, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != 8+macBytes {
		return 0, false
	}
	for _, secret := range l.secrets {
		if hmac.Equal(raw[8:], mac(secret, raw[:8])) {
			return int64(binary.BigEndian.Uint64(raw)), true
		}
	}
	return 0, false
}

func mac(secret, text []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(label))
	h.Write(text)
	return h.Sum(nil)[:macBytes]
}

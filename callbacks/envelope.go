package callbacks

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1" //nolint:gosec // the vendor's signature; the token makes it one
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

// What an envelope is made of: sixteen random bytes, the length of the message in four, the
// message, the receiver's id, and a padding to blocks of 32.
const (
	randomBytes = 16
	lengthBytes = 4
	padBlock    = 32
	maxReceiver = 128
	maxQuery    = 512 // of a signature, a timestamp, a nonce
	maxEcho     = 4 << 10
)

var (
	accountForm = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)
	keyForm     = regexp.MustCompile(`^[0-9A-Za-z+/]{43}$`)
	echoForm    = regexp.MustCompile(`^[0-9A-Za-z_+/=.-]{1,256}$`)
)

// envelope is how WeCom, official accounts and mini programs call back.
type envelope struct {
	account Account
	key     []byte
}

func newEnvelope(a Account) (*envelope, error) {
	names, ok := settings[a.Channel]
	switch {
	case !ok:
		return nil, campaign.Errorf(campaign.CodeInvalid, "there are no callbacks of a channel %q", string(a.Channel))
	case !accountForm.MatchString(a.ID):
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s is missing or is no id of the platform: it names the account whose callbacks are taken", names.id)
	case a.Token == "" || len(a.Token) > maxReceiver:
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s is missing: it is the Token of the page on which the callback is set up", names.token)
	case !keyForm.MatchString(a.Key):
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s is the EncodingAESKey of that page: 43 letters and digits", names.key)
	}
	// The last of the 43 characters holds two bits more than there are bytes; vendors' pages
	// give keys that set them.
	key, err := base64.StdEncoding.DecodeString(a.Key + "=")
	if err != nil || len(key) != 32 {
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s is the EncodingAESKey of that page: 43 letters and digits", names.key)
	}
	return &envelope{account: a, key: key}, nil
}

// settings name the settings of each channel.
var settings = map[Channel]struct{ id, token, key string }{
	Wecom:           {"BANYAN_WECOM_CORP", "BANYAN_WECOM_CALLBACK_TOKEN", "BANYAN_WECOM_CALLBACK_KEY"},
	OfficialAccount: {"BANYAN_OFFICIALACCOUNT_APP", "BANYAN_OFFICIALACCOUNT_CALLBACK_TOKEN", "BANYAN_OFFICIALACCOUNT_CALLBACK_KEY"},
	MiniProgram:     {"BANYAN_MINIPROGRAM_APP", "BANYAN_MINIPROGRAM_CALLBACK_TOKEN", "BANYAN_MINIPROGRAM_CALLBACK_KEY"},
}

// Echo implements Endpoint. WeCom encrypts what it wants to hear; the others send it plain,
// and sign only that they know the token.
func (e *envelope) Echo(q url.Values) (string, error) {
	stamp, nonce, echo := q.Get("timestamp"), q.Get("nonce"), q.Get("echostr")
	if echo == "" || len(echo) > maxEcho {
		return "", ErrForm
	}
	if sealed := q.Get("msg_signature"); sealed != "" {
		// A plus sign that was not escaped has become a blank on its way.
		echo = strings.ReplaceAll(echo, " ", "+")
		if !e.signed(sealed, stamp, nonce, echo) {
			return "", ErrSignature
		}
		text, err := e.open(echo)
		return string(text), err
	}
	if e.account.Channel == Wecom {
		return "", ErrSignature
	}
	// What is given back stands in an answer of ours, so it is letters and digits alone.
	if !e.signed(q.Get("signature"), stamp, nonce) {
		return "", ErrSignature
	}
	if !echoForm.MatchString(echo) {
		return "", ErrForm
	}
	return echo, nil
}

// Open implements Endpoint.
func (e *envelope) Open(r *Request) (Opened, error) {
	sealed, err := encrypted(r.Body)
	if err != nil {
		return Opened{}, err
	}
	if !e.signed(r.Query.Get("msg_signature"), r.Query.Get("timestamp"), r.Query.Get("nonce"), sealed) {
		return Opened{}, ErrSignature
	}
	payload, err := e.open(sealed)
	return Opened{Payload: payload}, err
}

// encrypted finds what is encrypted in a body, which is XML or JSON as the account was set up.
func encrypted(body []byte) (string, error) {
	if len(body) > MaxBody {
		return "", ErrForm
	}
	var in struct {
		Encrypt string `xml:"Encrypt" json:"Encrypt"`
	}
	var err error
	if trimmed := bytes.TrimSpace(body); bytes.HasPrefix(trimmed, []byte("{")) {
		err = json.Unmarshal(trimmed, &in)
	} else {
		err = xml.Unmarshal(trimmed, &in)
	}
	if err != nil || in.Encrypt == "" {
		return "", ErrForm
	}
	return strings.TrimSpace(in.Encrypt), nil
}

// signed compares a signature in constant time.
func (e *envelope) signed(signature string, parts ...string) bool {
	for _, p := range parts[:2] {
		if p == "" || len(p) > maxQuery {
			return false
		}
	}
	got, err := hex.DecodeString(signature)
	if err != nil || len(got) != sha1.Size {
		return false
	}
	want := signatureOf(append([]string{e.account.Token}, parts...)...)
	return subtle.ConstantTimeCompare(got, want[:]) == 1
}

// signatureOf is the SHA-1 of the parts, sorted and joined.
func signatureOf(parts ...string) [sha1.Size]byte {
	slices.Sort(parts)
	return sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // as above
}

// open decrypts a message and checks whom it is for. All that is wrong inside is one error: who
// has no token gets no further than the signature, and who has it learns nothing of the padding.
func (e *envelope) open(text string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, ErrForm
	}
	plain, ok := unpad(decryptCBC(e.key, e.key[:aes.BlockSize], sealed))
	if !ok || len(plain) < randomBytes+lengthBytes {
		return nil, ErrSealed
	}
	length := binary.BigEndian.Uint32(plain[randomBytes:])
	rest := plain[randomBytes+lengthBytes:]
	if uint64(length) > uint64(len(rest)) || len(rest)-int(length) > maxReceiver {
		return nil, ErrSealed
	}
	message, receiver := rest[:length], rest[length:]
	if subtle.ConstantTimeCompare(receiver, []byte(e.account.ID)) != 1 {
		return nil, ErrReceiver
	}
	return message, nil
}

// decryptCBC is AES in CBC mode (NIST SP 800-38A); nil where sealed is not of whole blocks.
func decryptCBC(key, iv, sealed []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed)
	return plain
}

// unpad takes away the padding of PKCS #7, of blocks of 32 bytes.
func unpad(plain []byte) ([]byte, bool) {
	if len(plain) == 0 || len(plain)%padBlock != 0 {
		return nil, false
	}
	n := int(plain[len(plain)-1])
	if n == 0 || n > padBlock {
		return nil, false
	}
	for _, b := range plain[len(plain)-n:] {
		if int(b) != n {
			return nil, false
		}
	}
	return plain[:len(plain)-n], true
}

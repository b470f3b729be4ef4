package callbacks

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

const (
	// payDrift is how far the timestamp of a notification may be from our clock, as the vendor
	// asks.
	payDrift  = 5 * time.Minute
	gcmNonce  = 12
	payKey    = 32
	maxAAD    = 128
	minRSA    = 2048 / 8
	publicKey = "PUB_KEY_ID_" // begins the serial of the public key mode
)

var merchantForm = regexp.MustCompile(`^[0-9]{6,32}$`)

// Verifier is one key that WeChat Pay signs with.
type Verifier struct {
	Key  *rsa.PublicKey
	Ends time.Time // of a certificate; zero: for ever
}

// Verifiers are keys by the serial that a notification names: that of a platform certificate,
// or the id of a public key. Both may be there while a merchant changes from one to the other.
type Verifiers map[string]Verifier

// ParseVerifiers reads platform certificates, and a public key with its id. Errors name the
// setting.
func ParseVerifiers(certificates, key, id string) (Verifiers, error) {
	out := Verifiers{}
	for rest := []byte(certificates); len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECHATPAY_CERTIFICATES is not PEM: it holds the platform certificates (平台证书), one behind the other")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECHATPAY_CERTIFICATES holds something that is no certificate")
		}
		public, ok := c.PublicKey.(*rsa.PublicKey)
		if !ok || public.Size() < minRSA {
			return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECHATPAY_CERTIFICATES holds a certificate of another kind than the platform's: RSA of 2,048 bits")
		}
		out[serialOf(fmt.Sprintf("%X", c.SerialNumber))] = Verifier{public, c.NotAfter}
	}
	switch {
	case key == "" && id == "":
		return out, nil
	case key == "" || !strings.HasPrefix(id, publicKey):
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECHATPAY_PUBLIC_KEY and BANYAN_WECHATPAY_PUBLIC_KEY_ID go together: the key's PEM, and its id, which begins with %s", publicKey)
	}
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECHATPAY_PUBLIC_KEY is not PEM: it is the file that the merchant platform gives (微信支付公钥)")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	public, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok || public.Size() < minRSA {
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECHATPAY_PUBLIC_KEY is no RSA key of 2,048 bits")
	}
	out[id] = Verifier{Key: public}
	return out, nil
}

// serialOf is a serial without what programs print differently.
func serialOf(s string) string {
	if strings.HasPrefix(s, publicKey) {
		return s
	}
	return strings.TrimLeft(strings.ToUpper(s), "0")
}

// pay is how WeChat Pay notifies, by version 3 of its API.
type pay struct {
	account Account
	aead    cipher.AEAD
}

func newPay(a Account) (*pay, error) {
	switch {
	case !merchantForm.MatchString(a.ID):
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECHATPAY_MERCHANT is the merchant's number (商户号), such as 1900000001")
	case len(a.Key) != payKey:
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECHATPAY_KEY is the APIv3 key (APIv3 密钥) of the merchant platform: 32 characters")
	case len(a.Verifiers) == 0:
		return nil, campaign.Errorf(campaign.CodeInvalid, "nothing says what WeChat Pay signs with: set BANYAN_WECHATPAY_PUBLIC_KEY and BANYAN_WECHATPAY_PUBLIC_KEY_ID, or BANYAN_WECHATPAY_CERTIFICATES")
	}
	block, err := aes.NewCipher([]byte(a.Key))
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "set up the key of WeChat Pay")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "set up the key of WeChat Pay")
	}
	return &pay{a, aead}, nil
}

// Echo implements Endpoint: WeChat Pay asks no such question.
func (*pay) Echo(url.Values) (string, error) { return "", ErrForm }

// notification is the part of a notification that is not encrypted.
type notification struct {
	EventType string `json:"event_type"`
	Resource  struct {
		Algorithm  string `json:"algorithm"`
		Ciphertext string `json:"ciphertext"`
		Nonce      string `json:"nonce"`
		AAD        string `json:"associated_data"`
	} `json:"resource"`
}

// Open implements Endpoint. The signature is over the body's bytes as they came, so it is
// looked at before anything is read of them.
func (p *pay) Open(r *Request) (Opened, error) {
	if err := p.verify(r); err != nil {
		return Opened{}, err
	}
	return p.read(r.Body)
}

// read decrypts a notification that is the platform's, and checks whose it is.
func (p *pay) read(body []byte) (Opened, error) {
	var n notification
	if json.Unmarshal(body, &n) != nil || n.Resource.Algorithm != "AEAD_AES_256_GCM" ||
		len(n.Resource.Nonce) != gcmNonce || len(n.Resource.AAD) > maxAAD {
		return Opened{}, ErrForm
	}
	sealed, err := base64.StdEncoding.DecodeString(n.Resource.Ciphertext)
	if err != nil {
		return Opened{}, ErrForm
	}
	payload, err := p.aead.Open(nil, []byte(n.Resource.Nonce), sealed, []byte(n.Resource.AAD))
	if err != nil {
		return Opened{}, ErrSealed
	}
	var whose struct {
		Merchant string `json:"mchid"`
		Partner  string `json:"sp_mchid"`
	}
	if json.Unmarshal(payload, &whose) != nil {
		return Opened{}, ErrForm
	}
	if whose.Merchant != p.account.ID && whose.Partner != p.account.ID {
		return Opened{}, ErrReceiver
	}
	return Opened{Payload: payload, Sort: n.EventType}, nil
}

func (p *pay) verify(r *Request) error {
	stamp, nonce := r.Header.Get("Wechatpay-Timestamp"), r.Header.Get("Wechatpay-Nonce")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || nonce == "" || len(nonce) > maxQuery || len(r.Body) > MaxBody {
		return ErrForm
	}
	v, ok := p.account.Verifiers[serialOf(r.Header.Get("Wechatpay-Serial"))]
	if !ok {
		return ErrSignature
	}
	signature, err := base64.StdEncoding.DecodeString(r.Header.Get("Wechatpay-Signature"))
	if err != nil {
		return ErrSignature
	}
	digest := sha256.New()
	for _, part := range [][]byte{[]byte(stamp), []byte(nonce), r.Body} {
		digest.Write(part)
		digest.Write([]byte("\n"))
	}
	if rsa.VerifyPKCS1v15(v.Key, crypto.SHA256, digest.Sum(nil), signature) != nil {
		return ErrSignature
	}
	if at := time.Unix(seconds, 0); at.Before(r.Now.Add(-payDrift)) || at.After(r.Now.Add(payDrift)) {
		return ErrStale
	}
	return nil
}

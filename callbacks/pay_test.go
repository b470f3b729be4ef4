package callbacks

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const merchant, merchantKey = "1900000001", "0123456789abcdef0123456789abcdef"

var payNow = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

type signer struct {
	key          *rsa.PrivateKey
	certificate  string
	serial       string
	public, name string
}

func newSigner(t testing.TB) *signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x5157F09EFDC096), Subject: pkix.Name{CommonName: "Tenpay"}, NotBefore: payNow, NotAfter: payNow.AddDate(5, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return &signer{key, text("CERTIFICATE", der), "5157F09EFDC096", text("PUBLIC KEY", public), "PUB_KEY_ID_0119000000012026050100000001"}
}

func (s *signer) sign(t testing.TB, body string, at time.Time, serial string) *Request {
	t.Helper()
	stamp := strconv.FormatInt(at.Unix(), 10)
	sum := sha256.Sum256([]byte(stamp + "\nnonce\n" + body + "\n"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return &Request{Body: []byte(body), Now: payNow, Header: http.Header{
		"Wechatpay-Timestamp": {stamp}, "Wechatpay-Nonce": {"nonce"}, "Wechatpay-Serial": {serial},
		"Wechatpay-Signature": {base64.StdEncoding.EncodeToString(signature)},
	}}
}

func notify(t testing.TB, key, payload string, change func(resource map[string]any)) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	resource := map[string]any{
		"algorithm": "AEAD_AES_256_GCM", "nonce": "abcdefabcdef", "associated_data": "transaction", "original_type": "transaction",
		"ciphertext": base64.StdEncoding.EncodeToString(aead.Seal(nil, []byte("abcdefabcdef"), []byte(payload), []byte("transaction"))),
	}
	if change != nil {
		change(resource)
	}
	text, err := json.Marshal(map[string]any{"id": "EV-1", "event_type": "TRANSACTION.SUCCESS", "resource_type": "encrypt-resource", "resource": resource})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPay(t *testing.T) {
	t.Parallel()
	s, other := newSigner(t), newSigner(t)
	verifiers, err := ParseVerifiers(s.certificate, s.public, s.name)
	if err != nil || len(verifiers) != 2 {
		t.Fatalf("%v, %v", verifiers, err)
	}
	all, err := New(Account{Channel: Pay, ID: merchant, Key: merchantKey, Verifiers: verifiers})
	if err != nil {
		t.Fatal(err)
	}
	e, _ := all.Of(Pay, merchant)
	const payload = `{"mchid":"1900000001","transaction_id":"42"}`
	body := notify(t, merchantKey, payload, nil)
	// Both modes, and a serial as another program prints it.
	for _, serial := range []string{s.serial, "00" + strings.ToLower(s.serial), s.name} {
		got, err := e.Open(s.sign(t, body, payNow, serial))
		if err != nil || string(got.Payload) != payload || got.Sort != "TRANSACTION.SUCCESS" {
			t.Errorf("%s: %+v, %v", serial, got, err)
		}
	}
	changed := s.sign(t, body, payNow, s.serial)
	changed.Body = append(changed.Body, ' ')
	probe := s.sign(t, body, payNow, s.serial)
	probe.Header.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+probe.Header.Get("Wechatpay-Signature"))
	unstamped := s.sign(t, body, payNow, s.serial)
	unstamped.Header.Del("Wechatpay-Timestamp")
	for name, c := range map[string]struct {
		r    *Request
		want error
	}{
		"a blank more":         {changed, ErrSignature},
		"a probe":              {probe, ErrSignature},
		"no timestamp":         {unstamped, ErrForm},
		"another's key":        {other.sign(t, body, payNow, s.serial), ErrSignature},
		"an unknown serial":    {s.sign(t, body, payNow, "42"), ErrSignature},
		"no serial":            {s.sign(t, body, payNow, ""), ErrSignature},
		"old":                  {s.sign(t, body, payNow.Add(-301*time.Second), s.serial), ErrStale},
		"ahead":                {s.sign(t, body, payNow.Add(301*time.Second), s.serial), ErrStale},
		"another merchant":     {s.sign(t, notify(t, merchantKey, `{"mchid":"1900000002"}`, nil), payNow, s.serial), ErrReceiver},
		"sealed otherwise":     {s.sign(t, notify(t, strings.Repeat("x", 32), payload, nil), payNow, s.serial), ErrSealed},
		"a nonce of 11":        {s.sign(t, notify(t, merchantKey, payload, func(r map[string]any) { r["nonce"] = "abcdefabcde" }), payNow, s.serial), ErrForm},
		"other bound data":     {s.sign(t, notify(t, merchantKey, payload, func(r map[string]any) { r["associated_data"] = "refund" }), payNow, s.serial), ErrSealed},
		"another algorithm":    {s.sign(t, notify(t, merchantKey, payload, func(r map[string]any) { r["algorithm"] = "none" }), payNow, s.serial), ErrForm},
		"no encoding":          {s.sign(t, notify(t, merchantKey, payload, func(r map[string]any) { r["ciphertext"] = "*" }), payNow, s.serial), ErrForm},
		"a short one":          {s.sign(t, notify(t, merchantKey, payload, func(r map[string]any) { r["ciphertext"] = "AAAA" }), payNow, s.serial), ErrSealed},
		"a payload of no JSON": {s.sign(t, notify(t, merchantKey, "hello", nil), payNow, s.serial), ErrForm},
		"a body of no JSON":    {s.sign(t, "hello", payNow, s.serial), ErrForm},
	} {
		if got, err := e.Open(c.r); !errors.Is(err, c.want) || got.Payload != nil {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, c.want)
		}
	}
	for _, limit := range []time.Duration{-300 * time.Second, 300 * time.Second} {
		if _, err := e.Open(s.sign(t, body, payNow.Add(limit), s.serial)); err != nil {
			t.Errorf("%s away: %v", limit, err)
		}
	}
}

func TestVerifiers(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for want, in := range map[string][3]string{
		"BANYAN_WECHATPAY_CERTIFICATES is not PEM":                     {"hello", "", ""},
		"BANYAN_WECHATPAY_CERTIFICATES holds something":                {s.public, "", ""},
		"BANYAN_WECHATPAY_PUBLIC_KEY and BANYAN_WECHATPAY_PUBLIC_KEY_": {"", s.public, ""},
		"which begins with PUB_KEY_ID_":                                {"", s.public, "42"},
		"BANYAN_WECHATPAY_PUBLIC_KEY is not PEM":                       {"", "hello", s.name},
		"BANYAN_WECHATPAY_PUBLIC_KEY is no RSA key":                    {"", s.certificate, s.name},
	} {
		if _, err := ParseVerifiers(in[0], in[1], in[2]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Whatever is signed, there is an answer and no panic. Signing takes long and is left out.
func FuzzPay(f *testing.F) {
	e, err := newPay(Account{Channel: Pay, ID: merchant, Key: merchantKey, Verifiers: Verifiers{"42": {}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(notify(f, merchantKey, `{"mchid":"1900000001"}`, nil)))
	f.Add([]byte(`{"resource":{"algorithm":"AEAD_AES_256_GCM","nonce":"abcdefabcdef"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := e.read(body); err != nil && Reason(err) == "other" {
			t.Errorf("%v has no name", err)
		}
	})
}

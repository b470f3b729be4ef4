package callbacks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1" //nolint:gosec // the vendor's
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	out, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Published vectors of AES in CBC mode: RFC 3602, section 4, and NIST SP 800-38A, F.2.6.
func TestCBC(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct{ key, iv, plain, sealed string }{
		"RFC 3602 case 1": {
			"06a9214036b8a15b512e03d534120006", "3dafba429d9eb430b422da802c9fac41",
			hex.EncodeToString([]byte("Single block msg")), "e353779c1079aeb82708942dbe77181a",
		},
		"RFC 3602 case 2": {
			"c286696d887c9aa0611bbb3e2025a45a", "562e17996d093d28ddb3ba695a2e6f58",
			"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
			"d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
		},
		"RFC 3602 case 3": {
			"6c3ea0477630ce21a2ce334aa746c2cd", "c782dc4c098c66cbd9cd27d825682c81",
			hex.EncodeToString([]byte("This is a 48-byte message (exactly 3 AES blocks)")),
			"d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684",
		},
		"NIST CBC-AES256": {
			"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "000102030405060708090a0b0c0d0e0f",
			"6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710",
			"f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d 39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b",
		},
	} {
		if got := decryptCBC(unhex(t, v.key), unhex(t, v.iv), unhex(t, v.sealed)); hex.EncodeToString(got) != strings.ReplaceAll(v.plain, " ", "") {
			t.Errorf("%s: %x", name, got)
		}
	}
}

// Published vectors of AES-256 in Galois/Counter mode: test cases 14 to 16 of the
// specification that NIST published with SP 800-38D.
func TestGCM(t *testing.T) {
	t.Parallel()
	const key, iv = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888"
	const plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
	const sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
	for name, v := range map[string]struct{ key, iv, aad, plain, sealed string }{
		"case 14": {strings.Repeat("00", 32), strings.Repeat("00", 12), "", strings.Repeat("00", 16), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
		"case 16": {key, iv, "feedfacedeadbeeffeedfacedeadbeefabaddad2", plain, sealed + "76fc6ece0f4e1768cddf8853bb2d551b"},
	} {
		// As newPay makes it, of a key of 32 bytes.
		p, err := newPay(Account{Channel: Pay, ID: "1900000001", Key: string(unhex(t, v.key)), Verifiers: Verifiers{"x": {}}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.aead.Open(nil, unhex(t, v.iv), unhex(t, v.sealed), unhex(t, v.aad))
		if err != nil || hex.EncodeToString(got) != v.plain {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}

// The vendor's example.
const (
	vendorToken = "QDG6eK"
	vendorCorp  = "wx5823bf96d3bd56c7"
	vendorKey   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	vendorEcho  = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
)

func vendorQuery() url.Values {
	return url.Values{
		"msg_signature": {"477715d11cdb4164915debcba66cb864d751f3e6"}, "timestamp": {"1409659813"}, "nonce": {"1372623149"},
	}
}

func endpoint(t testing.TB, channel Channel) *envelope {
	t.Helper()
	e, err := newEnvelope(Account{Channel: channel, ID: vendorCorp, Token: vendorToken, Key: vendorKey})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func wire(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../testdata/wire", file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVendorsExample(t *testing.T) {
	t.Parallel()
	e := endpoint(t, Wecom)
	q := url.Values{
		"msg_signature": {"5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"}, "timestamp": {"1409659589"}, "nonce": {"263014780"}, "echostr": {vendorEcho},
	}
	if got, err := e.Echo(q); got != "1616140317555161061" || err != nil {
		t.Errorf("echo %q, %v", got, err)
	}
	q.Set("echostr", strings.ReplaceAll(vendorEcho, "+", " ")) // not escaped by who sent it
	if got, err := e.Echo(q); got != "1616140317555161061" || err != nil {
		t.Errorf("echo %q, %v", got, err)
	}
	got, err := e.Open(&Request{Query: vendorQuery(), Body: wire(t, "callback-wecom.xml")})
	if err != nil || !strings.Contains(string(got.Payload), "<Content><![CDATA[hello]]></Content>") || !strings.HasPrefix(string(got.Payload), "<xml>") || !strings.HasSuffix(string(got.Payload), "</xml>") {
		t.Errorf("%s, %v", got.Payload, err)
	}
}

// sealFor encrypts as the vendor's pages say; pad makes the padding.
func sealFor(key []byte, message, receiver string, length int, pad func([]byte) []byte) string {
	plain := make([]byte, randomBytes+lengthBytes, 64)
	binary.BigEndian.PutUint32(plain[randomBytes:], uint32(length))
	plain = pad(append(append(plain, message...), receiver...))
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain)
}

func pad32(b []byte) []byte {
	n := 32 - len(b)%32
	return append(b, slices.Repeat([]byte{byte(n)}, n)...)
}

func signed(token, sealed string) url.Values {
	parts := []string{token, "1", "2", sealed}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // the vendor's
	return url.Values{"msg_signature": {hex.EncodeToString(sum[:])}, "timestamp": {"1"}, "nonce": {"2"}}
}

func TestEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	e := endpoint(t, Wecom)
	body := string(wire(t, "callback-wecom.xml"))
	with := func(name, value string) url.Values {
		q := vendorQuery()
		q.Set(name, value)
		return q
	}
	own := func(message, receiver string, length int, pad func([]byte) []byte) (url.Values, string) {
		sealed := sealFor(e.key, message, receiver, length, pad)
		return signed(vendorToken, sealed), `{"ToUserName":"x","Encrypt":"` + sealed + `"}`
	}
	type question struct {
		q    url.Values
		body string
		want error
	}
	cases := map[string]question{
		"another signature":        {with("msg_signature", "477715d11cdb4164915debcba66cb864d751f3e7"), body, ErrSignature},
		"no signature":             {with("msg_signature", ""), body, ErrSignature},
		"a longer signature":       {with("msg_signature", "477715d11cdb4164915debcba66cb864d751f3e600"), body, ErrSignature},
		"another time":             {with("timestamp", "1409659814"), body, ErrSignature},
		"no time":                  {with("timestamp", ""), body, ErrSignature},
		"another nonce":            {with("nonce", "1372623148"), body, ErrSignature},
		"a long nonce":             {with("nonce", strings.Repeat("1", 513)), body, ErrSignature},
		"another body":             {vendorQuery(), strings.Replace(body, "RypE", "RypF", 1), ErrSignature},
		"no envelope":              {vendorQuery(), "<xml><ToUserName>x</ToUserName></xml>", ErrForm},
		"no XML":                   {vendorQuery(), "hello", ErrForm},
		"nothing":                  {vendorQuery(), "", ErrForm},
		"too long":                 {vendorQuery(), "<xml><Encrypt>" + strings.Repeat("A", MaxBody) + "</Encrypt></xml>", ErrForm},
		"not encoded":              {signed(vendorToken, "*"), `{"Encrypt":"*"}`, ErrForm},
		"of no whole blocks":       {signed(vendorToken, "AAAA"), `{"Encrypt":"AAAA"}`, ErrSealed},
		"of no whole blocks of 32": {signed(vendorToken, "AAAAAAAAAAAAAAAAAAAAAA=="), `{"Encrypt":"AAAAAAAAAAAAAAAAAAAAAA=="}`, ErrSealed},
	}
	add := func(name string, want error, message, receiver string, length int, pad func([]byte) []byte) {
		q, body := own(message, receiver, length, pad)
		cases[name] = question{q, body, want}
	}
	add("another receiver", ErrReceiver, "m", "wx0000000000000000", 1, pad32)
	add("no receiver", ErrReceiver, "m", "", 1, pad32)
	add("a receiver that begins as ours", ErrReceiver, "m", vendorCorp+"0", 1, pad32)
	add("a length beyond the end", ErrSealed, "m", vendorCorp, 1000, pad32)
	add("a negative length", ErrSealed, "m", vendorCorp, -1, pad32)
	add("a length that makes the receiver long", ErrSealed, strings.Repeat("m", 200), vendorCorp, 1, pad32)
	add("a padding of nothing", ErrSealed, "m", vendorCorp, 1, func(b []byte) []byte { return append(b, make([]byte, 32-len(b)%32)...) })
	add("a padding of 33", ErrSealed, "m", vendorCorp, 1, func(b []byte) []byte {
		return append(b, slices.Repeat([]byte{33}, 64-len(b)%32)...)
	})
	add("a padding that is not even", ErrSealed, "m", vendorCorp, 1, func(b []byte) []byte {
		b = pad32(b)
		b[len(b)-2]++
		return b
	})
	for name, c := range cases {
		if got, err := e.Open(&Request{Query: c.q, Body: []byte(c.body)}); !errors.Is(err, c.want) || got.Payload != nil {
			t.Errorf("%s: %q, %v, want %v", name, got.Payload, err, c.want)
		}
	}
	q, text := own("m", vendorCorp, 1, pad32)
	if got, err := e.Open(&Request{Query: q, Body: []byte(text)}); err != nil || string(got.Payload) != "m" {
		t.Errorf("what is in order: %q, %v", got.Payload, err)
	}
	// A message that fills its blocks has a padding of a whole one.
	q, text = own(strings.Repeat("m", 26), vendorCorp, 26, pad32)
	if got, err := e.Open(&Request{Query: q, Body: []byte(text)}); err != nil || len(got.Payload) != 26 {
		t.Errorf("a whole block: %q, %v", got.Payload, err)
	}
}

// Official accounts and mini programs are asked plainly; WeCom is not, and nothing that would
// mean something to a browser is given back.
func TestPlainEcho(t *testing.T) {
	t.Parallel()
	ask := func(channel Channel, echo string) (string, error) {
		sum := signatureOf(vendorToken, "1", "2")
		return endpoint(t, channel).Echo(url.Values{"signature": {hex.EncodeToString(sum[:])}, "timestamp": {"1"}, "nonce": {"2"}, "echostr": {echo}})
	}
	if got, err := ask(OfficialAccount, "3078021376520837491"); got != "3078021376520837491" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for name, c := range map[string]struct {
		channel Channel
		echo    string
		want    error
	}{
		"WeCom": {Wecom, "307", ErrSignature}, "a tag": {MiniProgram, "<b>", ErrForm}, "nothing": {MiniProgram, "", ErrForm},
		"much": {MiniProgram, strings.Repeat("1", 257), ErrForm},
	} {
		if got, err := ask(c.channel, c.echo); !errors.Is(err, c.want) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := endpoint(t, MiniProgram).Echo(url.Values{"signature": {strings.Repeat("0", 40)}, "timestamp": {"1"}, "nonce": {"2"}, "echostr": {"1"}}); !errors.Is(err, ErrSignature) {
		t.Errorf("a wrong signature: %v", err)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	whole := Account{Channel: Wecom, ID: vendorCorp, Token: vendorToken, Key: vendorKey}
	for want, change := range map[string]func(*Account){
		"BANYAN_WECOM_CORP is missing":              func(a *Account) { a.ID = "" },
		"BANYAN_WECOM_CALLBACK_TOKEN is missing":    func(a *Account) { a.Token = "" },
		"BANYAN_WECOM_CALLBACK_KEY is the Encoding": func(a *Account) { a.Key = a.Key[1:] },
		"no callbacks of a channel":                 func(a *Account) { a.Channel = "sms" },
		"BANYAN_WECHATPAY_MERCHANT":                 func(a *Account) { a.Channel = Pay },
		"BANYAN_WECHATPAY_KEY":                      func(a *Account) { a.Channel, a.ID = Pay, "1900000001" },
		"nothing says what WeChat Pay signs with":   func(a *Account) { a.Channel, a.ID, a.Key = Pay, "1900000001", strings.Repeat("k", 32) },
	} {
		a := whole
		change(&a)
		if _, err := New(a); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), vendorToken) || strings.Contains(err.Error(), vendorKey[1:]) {
			t.Errorf("%v, want %q and no secret", err, want)
		}
	}
	if _, err := New(whole, whole); err == nil {
		t.Error("an account may be configured twice")
	}
	all, err := New(whole)
	if err != nil || !slices.Equal(all.Paths(), []string{"/callbacks/wecom/" + vendorCorp}) {
		t.Fatalf("%v, %v", all.Paths(), err)
	}
	if _, ok := all.Of(Wecom, vendorCorp); !ok {
		t.Error("it is not found")
	}
	if _, ok := all.Of(OfficialAccount, vendorCorp); ok {
		t.Error("another channel's is found")
	}
	if s := fmt.Sprintf("%v %#v %+v", whole, whole, whole); strings.Contains(s, vendorToken) || strings.Contains(s, vendorKey) {
		t.Errorf("it shows secrets: %s", s)
	}
}

// Whatever somebody writes who has the token, there is an answer and no panic.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("0123456789abcdef\x00\x00\x00\x01m"+vendorCorp), true)
	f.Add([]byte("<xml><Encrypt>AAAA</Encrypt></xml>"), false)
	f.Add([]byte(`{"Encrypt":"AAAA"}`), false)
	e := endpoint(f, Wecom)
	f.Fuzz(func(t *testing.T, in []byte, sealed bool) {
		r := Request{Query: vendorQuery(), Body: in, Now: time.Now()}
		if sealed {
			if in = in[:len(in)/32*32]; len(in) == 0 {
				return
			}
			block, _ := aes.NewCipher(e.key)
			out := make([]byte, len(in))
			cipher.NewCBCEncrypter(block, e.key[:16]).CryptBlocks(out, in)
			text := base64.StdEncoding.EncodeToString(out)
			r.Query, r.Body = signed(vendorToken, text), []byte(`{"Encrypt":"`+text+`"}`)
		}
		got, err := e.Open(&r)
		if err == nil && (!sealed || len(got.Payload) > len(in)) {
			t.Errorf("%q was taken for %q", in, got.Payload)
		}
		if err != nil && Reason(err) == "other" {
			t.Errorf("%v has no name", err)
		}
	})
}

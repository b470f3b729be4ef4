package webhook_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels/webhook"
)

var (
	signed = time.Unix(1_796_127_303, 0)
	body   = []byte(`{"key":"k"}`)
)

// TestSignatureIsWhatTheDocumentationSays holds a value made by OpenSSL:
//
//	printf '1796127303.{"key":"k"}' | openssl dgst -sha256 -hmac 'a shared secret for tests alone'
func TestSignatureIsWhatTheDocumentationSays(t *testing.T) {
	const want = "t=1796127303,v1=dcb871ddbc94a027e51606c91f75b699ebf135ac292a5e26c37e35f7fa03ab9d"
	if got := webhook.Sign(body, signed, secret); got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

func TestVerify(t *testing.T) {
	header := webhook.Sign(body, signed, secret)
	_, mac, _ := strings.Cut(header, "v1=")
	wrong := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		secret, header, body string
		late                 time.Duration
		want                 error
	}{
		"good":                 {secret, header, string(body), 0, nil},
		"at the tolerance":     {secret, header, string(body), time.Minute, nil},
		"sender's clock ahead": {secret, header, string(body), -time.Minute, nil},
		"late":                 {secret, header, string(body), time.Minute + time.Second, webhook.ErrStaleSignature},
		"early":                {secret, header, string(body), -time.Minute - time.Second, webhook.ErrStaleSignature},
		"two, the second fits": {secret, webhook.Sign(body, signed, "another secret", secret), string(body), 0, nil},
		"two, the first fits":  {secret, webhook.Sign(body, signed, secret, "another secret"), string(body), 0, nil},
		"unknown version":      {secret, "v9=zz," + header + ",x", string(body), 0, nil},
		"spaces":               {secret, strings.ReplaceAll(header, ",", " , "), string(body), 0, nil},
		"upper case":           {secret, "t=1796127303,v1=" + strings.ToUpper(mac), string(body), 0, nil},
		"another secret":       {"another secret", header, string(body), 0, webhook.ErrWrongSignature},
		"another body":         {secret, header, `{"key":"l"}`, 0, webhook.ErrWrongSignature},
		"another time":         {secret, strings.Replace(header, "t=17", "t=18", 1), string(body), 0, webhook.ErrWrongSignature},
		"time written oddly":   {secret, strings.Replace(header, "t=17", "t=017", 1), string(body), 0, webhook.ErrWrongSignature},
		"cut off":              {secret, header[:len(header)-2], string(body), 0, webhook.ErrWrongSignature},
		"empty signature":      {secret, "t=1796127303,v1=", string(body), 0, webhook.ErrWrongSignature},
		"no header":            {secret, "", string(body), 0, webhook.ErrMalformedSignature},
		"no time":              {secret, "v1=" + mac, string(body), 0, webhook.ErrMalformedSignature},
		"two times":            {secret, "t=1," + header, string(body), 0, webhook.ErrMalformedSignature},
		"no signature":         {secret, "t=1796127303", string(body), 0, webhook.ErrMalformedSignature},
		"no number":            {secret, "t=now,v1=" + mac, string(body), 0, webhook.ErrMalformedSignature},
		"no hexadecimal":       {secret, header + "z", string(body), 0, webhook.ErrMalformedSignature},
		"a great many":         {secret, header + strings.Repeat(",v1="+wrong, 8), string(body), 0, webhook.ErrMalformedSignature},
		"no secret":            {"", webhook.Sign(body, signed, ""), string(body), 0, webhook.ErrNoSecret},
	} {
		err := webhook.Verify(c.secret, c.header, []byte(c.body), signed.Add(c.late), time.Minute)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(webhook.Sign(body, signed, secret), body)
	f.Add("t=-9223372036854775808,v1=00", []byte{})
	f.Fuzz(func(t *testing.T, header string, data []byte) {
		if webhook.Verify("a secret that the fuzzer does not know", header, data, signed, time.Minute) == nil {
			t.Errorf("Verify takes %q", header)
		}
		if err := webhook.Verify(secret, webhook.Sign(data, signed, secret), data, signed, 0); err != nil {
			t.Errorf("Verify refuses what Sign made: %v", err)
		}
	})
}

func ExampleVerify() {
	secret := "a shared secret for tests alone" // in a real receiver from its own settings

	receive := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		header := r.Header.Get(webhook.SignatureHeader)
		if err := webhook.Verify(secret, header, body, time.Now(), webhook.DefaultTolerance); err != nil {
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		// Store the payload under its "key" here, once, before you answer.
		fmt.Fprint(w, `{"id": "your-own-id"}`)
	}

	body := `{"key": "k"}`
	request := httptest.NewRequest(http.MethodPost, "/banyan", strings.NewReader(body))
	request.Header.Set(webhook.SignatureHeader, webhook.Sign([]byte(body), time.Now(), secret))
	answer := httptest.NewRecorder()
	receive(answer, request)
	fmt.Println(answer.Code, answer.Body)
	// Output: 200 {"id": "your-own-id"}
}

// TestDocumentationShowsThisCode holds the page to the example above, and to the words
// that the channel uses.
func TestDocumentationShowsThisCode(t *testing.T) {
	page, err := os.ReadFile("../../docs/channels/webhook.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("signature_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "\treceive := func(")
	code, _, _ = strings.Cut(code, "\n\t}\n")
	code = "func receive(" + strings.ReplaceAll(code, "\n\t", "\n") + "\n}\n"
	if !strings.Contains(string(page), code) {
		t.Errorf("the page does not show\n%s", code)
	}
	for _, word := range []string{
		webhook.SignatureHeader, webhook.KeyHeader, webhook.AttemptHeader, webhook.IDHeader,
		"private_address", "dns", "tls", "connection_refused", "connection_lost", "unreachable", "network", "timeout",
		"deadline", "canceled", "invalid_message", "redirect_host", "redirect_loop", "redirect_location",
	} {
		if !strings.Contains(string(page), "`"+word) {
			t.Errorf("the page does not name %s", word)
		}
	}
}

package fakeplatform

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"os"
	"regexp"
	"sync"
	"testing"
)

// It encrypts and signs as the vendor's example does, to the last byte: what callers are held to
// is not ours.
func TestCallbackIsTheVendors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../testdata/wire/callback-wecom.xml")
	if err != nil {
		t.Fatal(err)
	}
	sealed := string(regexp.MustCompile(`<Encrypt><!\[CDATA\[(.*?)\]\]>`).FindSubmatch(text)[1])
	a := CallbackAccount{Token: "QDG6eK", Key: "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", Receiver: "wx5823bf96d3bd56c7"}
	if got := a.sign("1409659813", "1372623149", sealed); got != "477715d11cdb4164915debcba66cb864d751f3e6" {
		t.Errorf("signed %s", got)
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(a.Key + "=")
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCDecrypter(block, key[:16]).CryptBlocks(raw, raw)
	length := binary.BigEndian.Uint32(raw[16:20])
	a.random = bytes.NewReader(raw[:16])
	if got, err := a.encrypt(string(raw[20 : 20+length])); err != nil || got != sealed {
		t.Errorf("%s, %v, want %s", got, err, sealed)
	}
}

// A bad day doubles and reorders, and calls again where nobody took it; by the same seed it is
// the same.
func TestDeliver(t *testing.T) {
	t.Parallel()
	day := func(seed uint64, refuse int) (counts [10]int, err error) {
		var mu sync.Mutex
		var calls []func(context.Context) error
		for i := range counts {
			calls = append(calls, func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				counts[i]++
				if counts[i] <= refuse {
					return errors.New("not now")
				}
				return nil
			})
		}
		err = Deliver(t.Context(), seed, calls...)
		return counts, err
	}
	once, err := day(1, 0)
	again, _ := day(1, 0)
	other, _ := day(2, 0)
	more := false
	for _, n := range once {
		more = more || n > 1
		if n == 0 {
			t.Error("something was left out")
		}
	}
	if err != nil || once != again || once == other || !more {
		t.Errorf("%v, then %v, and by another seed %v: %v", once, again, other, err)
	}
	if _, err := day(1, 1); err != nil {
		t.Errorf("refused once: %v", err)
	}
	if _, err := day(1, 1000); err == nil {
		t.Error("nobody took it, and nothing is said")
	}
}

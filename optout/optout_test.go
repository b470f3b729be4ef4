package optout_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/optout"
)

const (
	base   = "https://banyan.shop.example.com"
	secret = "a secret of more than sixteen bytes"
)

func links(t testing.TB, secrets string) optout.Links {
	t.Helper()
	l, err := optout.New(base+"/", secrets)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestALinkNamesAnIdentityAndIsOurs(t *testing.T) {
	t.Parallel()
	l := links(t, secret)
	for _, id := range []int64{1, 77, 1 << 40} {
		token, ok := strings.CutPrefix(l.URL(id), base+optout.Path)
		if !ok {
			t.Fatalf("URL = %s", l.URL(id))
		}
		if got, ok := l.Read(token); !ok || got != id {
			t.Errorf("Read = %d, %v; want %d", got, ok, id)
		}
		if _, ok := links(t, "another secret of sixteen bytes").Read(token); ok {
			t.Error("a link that somebody else signed is believed")
		}
		if _, ok := (optout.Links{}).Read(token); ok {
			t.Error("without a secret a link is believed")
		}
		for i := range token {
			flipped := []byte(token)
			if flipped[i]++; flipped[i] == token[i] {
				continue
			}
			if got, ok := l.Read(string(flipped)); ok {
				t.Errorf("a changed link is believed to name %d", got)
			}
		}
	}
}

func TestAnOldSecretIsBelievedStill(t *testing.T) {
	t.Parallel()
	old := links(t, secret)
	both := links(t, "a new secret of sixteen bytes,"+secret)
	token := strings.TrimPrefix(old.URL(7), base+optout.Path)
	if id, ok := both.Read(token); !ok || id != 7 {
		t.Errorf("Read = %d, %v", id, ok)
	}
	if both.URL(7) == old.URL(7) {
		t.Error("the new secret does not sign")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, secrets, problem string }{
		{"banyan.example.com", secret, "BANYAN_PUBLIC_URL"},
		{"ftp://banyan.example.com", secret, "BANYAN_PUBLIC_URL"},
		{base + "?a=b", secret, "BANYAN_PUBLIC_URL"},
		{base, "short", "BANYAN_LINK_SECRET"},
		{base, "", "BANYAN_LINK_SECRET"},
		{base, strings.Repeat(secret+",", 3) + secret, "BANYAN_LINK_SECRET"},
	} {
		_, err := optout.New(c.url, c.secrets)
		if err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("New(%q) = %v, want one that names %s", c.url, err, c.problem)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, links(t, secret)); strings.Contains(text, "secret of") {
			t.Errorf("%s shows the secret: %s", format, text)
		}
	}
}

func FuzzRead(f *testing.F) {
	l := links(f, secret)
	f.Add(strings.TrimPrefix(l.URL(1), base+optout.Path))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if id, ok := l.Read(token); ok && l.URL(id) != base+optout.Path+token {
			t.Errorf("%q is another way to write %s", token, l.URL(id))
		}
	})
}

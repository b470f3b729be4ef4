package attribution_test

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/attribution"
	"github.com/banyanhq/banyan/codes"
)

var (
	key   = []byte("a key of more than sixteen bytes")
	other = []byte("another key of more than sixteen")
	now   = time.Date(2027, 3, 8, 12, 30, 45, 0, time.UTC)
)

func claim(t testing.TB) attribution.Claim {
	t.Helper()
	return attribution.Claim{Campaign: "bring-friend", Journey: "invitee", Channel: "poster", Inviter: inviter(t, "7KQM4X2HP"), At: now}
}

func inviter(t testing.TB, body string) string {
	t.Helper()
	c, err := codes.Check(body)
	if err != nil {
		t.Fatal(err)
	}
	return body + string(c)
}

// The format is fixed: links that hang on walls must stay readable.
func TestTokensOfThisVersionStayReadable(t *testing.T) {
	t.Parallel()
	const full, short = "EABrjp91DGJyaW5nLWZyaWVuZAdpbnZpdGVlBnBvc3Rlcgo3S1FNNFgySFBG1von6ekowZUdlshhi9ZhUg", "JBGAbqFXSwAAZhQttCzd4m0vxXfceQ"
	if token := attribution.Sign(key, claim(t)); token != full {
		t.Errorf("the full form is %s, was %s", token, full)
	}
	compact, err := attribution.SignCompact(key, claim(t))
	if err != nil || compact != short {
		t.Errorf("the compact form is %s, %v; was %s", compact, err, short)
	}
}

func TestWhatIsSignedIsRead(t *testing.T) {
	t.Parallel()
	long := attribution.Claim{
		Campaign: strings.Repeat("c", attribution.MaxName), Journey: strings.Repeat("旅", 21), Channel: strings.Repeat("h", attribution.MaxName),
		Inviter: strings.Repeat("i", attribution.MaxInviter), At: now,
	}
	for _, a := range []attribution.Claim{claim(t), {Campaign: "c", At: now}, long, {Campaign: "开学季", Channel: "企业微信", At: now}} {
		token := attribution.Sign(key, a)
		if got, err := attribution.Verify(key, token, now); err != nil || got != a {
			t.Errorf("%s is read as %+v, %v; want %+v", token, got, err, a)
		}
		if len(token) > attribution.MaxToken || strings.Trim(token, urlSafe) != "" {
			t.Errorf("%d characters: %s", len(token), token)
		}
	}
	if n := len(attribution.Sign(key, claim(t))); n < 70 || n > 90 {
		t.Errorf("the token of a usual claim has %d characters; the package says 70 to 90", n)
	}
	// To the second, whatever zone the moment was given in.
	a := claim(t)
	a.At = now.Add(999 * time.Millisecond).In(time.FixedZone("Asia/Shanghai", 8*3600))
	if got, err := attribution.Verify(key, attribution.Sign(key, a), now); err != nil || got != claim(t) {
		t.Errorf("%+v, %v", got, err)
	}
}

const urlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestRefused(t *testing.T) {
	t.Parallel()
	token := attribution.Sign(key, claim(t))
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := attribution.SignCompact(key, claim(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		key   []byte
		token string
		now   time.Time
		want  error
		says  string
	}{
		{"another key", other, token, now, attribution.ErrForged, ""},
		{"a short key", key[:15], token, now, attribution.ErrKey, ""},
		{"no key", nil, token, now, attribution.ErrKey, ""},
		{"nothing", key, "", now, attribution.ErrMalformed, "empty"},
		{"one character", key, "E", now, attribution.ErrMalformed, ""},
		{"cut off", key, token[:len(token)-1], now, attribution.ErrMalformed, "lacks some"},
		{"cut off in the middle", key, token[:40], now, attribution.ErrMalformed, "missing"},
		{"the first characters alone", key, token[:4], now, attribution.ErrMalformed, "missing"},
		{"twice", key, token + token, now, attribution.ErrMalformed, "twice"},
		{"something behind", key, token + "AAAA", now, attribution.ErrMalformed, "follows"},
		{"padded", key, token + "==", now, attribution.ErrMalformed, "characters"},
		{"a line break", key, token[:10] + "\n" + token[10:], now, attribution.ErrMalformed, "line"},
		{"a space", key, token + " ", now, attribution.ErrMalformed, "characters"},
		{"other base64", key, strings.Repeat("+/", 30) + "+", now, attribution.ErrMalformed, "characters"},
		{"a version that is not known", key, "M" + token[1:], now, attribution.ErrMalformed, "form"},
		{"very long", key, strings.Repeat("A", attribution.MaxToken+1), now, attribution.ErrMalformed, "at most"},
		{"the compact form", key, compact, now, attribution.ErrMalformed, "other form"},
		{"too old", key, token, now.Add(attribution.MaxAge + time.Second), attribution.ErrExpired, "2027-03-08T12:30:45Z"},
		{"from the future", key, token, now.Add(-attribution.Skew - time.Second), attribution.ErrEarly, "2027"},
		{"no signature", key, base64.RawURLEncoding.EncodeToString(append(raw[:len(raw)-16:len(raw)-16], make([]byte, 16)...)), now, attribution.ErrForged, ""},
	} {
		got, err := attribution.Verify(c.key, c.token, c.now)
		if !errors.Is(err, c.want) || got != (attribution.Claim{}) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v; want %v, saying %q", c.name, got, err, c.want, c.says)
		}
	}
	for name, at := range map[string]time.Time{"as old as may be": now.Add(attribution.MaxAge), "clocks that differ": now.Add(-attribution.Skew)} {
		if _, err := attribution.Verify(key, token, at); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Any bit of either form, flipped, is noticed.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	a := claim(t)
	compact, err := attribution.SignCompact(key, a)
	if err != nil {
		t.Fatal(err)
	}
	v := attribution.Verifier{Keys: [][]byte{key}}
	for _, form := range []struct {
		token  string
		verify func(string) error
	}{
		{attribution.Sign(key, a), func(s string) error { _, err := v.Verify(s, now); return err }},
		{compact, func(s string) error { _, err := v.Compact(s, now, place(a)); return err }},
	} {
		if err := form.verify(form.token); err != nil {
			t.Fatal(err)
		}
		raw, err := base64.RawURLEncoding.DecodeString(form.token)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(raw) * 8 {
			raw[bit/8] ^= 1 << (bit % 8)
			if form.verify(base64.RawURLEncoding.EncodeToString(raw)) == nil {
				t.Errorf("bit %d of %s does not count", bit, form.token)
			}
			raw[bit/8] ^= 1 << (bit % 8)
		}
		// The same bytes written otherwise are another text, and refused.
		for i := range len(form.token) {
			for _, c := range urlSafe {
				if s := form.token[:i] + string(c) + form.token[i+1:]; s != form.token && form.verify(s) == nil {
					t.Errorf("%s is as good as %s", s, form.token)
				}
			}
			if form.verify(form.token[:i]) == nil {
				t.Errorf("%s is enough of %s", form.token[:i], form.token)
			}
		}
	}
}

func TestKeysChange(t *testing.T) {
	t.Parallel()
	both := attribution.Verifier{Keys: [][]byte{other, key}}
	for _, k := range both.Keys {
		if got, err := both.Verify(attribution.Sign(k, claim(t)), now); err != nil || got != claim(t) {
			t.Errorf("%+v, %v", got, err)
		}
		compact, err := attribution.SignCompact(k, claim(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := both.Compact(compact, now, place(claim(t))); err != nil {
			t.Error(err)
		}
	}
	if _, err := (attribution.Verifier{Keys: [][]byte{other}}).Verify(attribution.Sign(key, claim(t)), now); !errors.Is(err, attribution.ErrForged) {
		t.Errorf("a key that was taken out is believed: %v", err)
	}
	for _, keys := range [][][]byte{nil, {key, nil}, make([][]byte, attribution.MaxKeys+1)} {
		if _, err := (attribution.Verifier{Keys: keys}).Verify(attribution.Sign(key, claim(t)), now); !errors.Is(err, attribution.ErrKey) {
			t.Errorf("with %d keys: %v", len(keys), err)
		}
	}
	week := attribution.Verifier{Keys: [][]byte{key}, MaxAge: 7 * 24 * time.Hour}
	if _, err := week.Verify(attribution.Sign(key, claim(t)), now.Add(8*24*time.Hour)); !errors.Is(err, attribution.ErrExpired) {
		t.Errorf("after eight days: %v", err)
	}
	if _, err := week.Verify(attribution.Sign(key, claim(t)), now.Add(6*24*time.Hour)); err != nil {
		t.Errorf("after six days: %v", err)
	}
}

func TestWhatCannotBeSigned(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*attribution.Claim){
		"no campaign":       func(a *attribution.Claim) { a.Campaign = "" },
		"a long campaign":   func(a *attribution.Claim) { a.Campaign = strings.Repeat("c", attribution.MaxName+1) },
		"a long inviter":    func(a *attribution.Claim) { a.Inviter = strings.Repeat("c", attribution.MaxInviter+1) },
		"no UTF-8":          func(a *attribution.Claim) { a.Channel = "\xff" },
		"no moment":         func(a *attribution.Claim) { a.At = time.Time{} },
		"before 1970":       func(a *attribution.Claim) { a.At = time.Unix(-1, 0) },
		"the end of time":   func(a *attribution.Claim) { a.At = time.Unix(1<<40, 0) },
		"beyond all clocks": func(a *attribution.Claim) { a.At = time.Unix(math.MaxInt64, 0) },
	} {
		a := claim(t)
		change(&a)
		if token := attribution.Sign(key, a); token != "" || !errors.Is(a.Check(), attribution.ErrClaim) {
			t.Errorf("%s: %q, %v", name, token, a.Check())
		}
		if token, err := attribution.SignCompact(key, a); token != "" || !errors.Is(err, attribution.ErrClaim) {
			t.Errorf("%s, compact: %q, %v", name, token, err)
		}
	}
	if token := attribution.Sign(key[:15], claim(t)); token != "" {
		t.Errorf("a short key signs %q", token)
	}
	if token, err := attribution.SignCompact(key[:15], claim(t)); token != "" || !errors.Is(err, attribution.ErrKey) {
		t.Errorf("a short key signs %q, %v", token, err)
	}
	for name, change := range map[string]func(*attribution.Claim){
		"an id that is no code": func(a *attribution.Claim) { a.Inviter = "m-1024" },
		"a code as it is typed": func(a *attribution.Claim) { a.Inviter = codes.Grouped(a.Inviter) },
		"a long code":           func(a *attribution.Claim) { a.Inviter = inviter(t, "XXXXXXXXXXXXX") },
		"before its epoch":      func(a *attribution.Claim) { a.At = time.Date(2024, 12, 31, 23, 59, 59, 0, time.UTC) },
		"after its end":         func(a *attribution.Claim) { a.At = time.Date(2057, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		a := claim(t)
		change(&a)
		if token, err := attribution.SignCompact(key, a); token != "" || !errors.Is(err, attribution.ErrClaim) {
			t.Errorf("%s, compact: %q, %v", name, token, err)
		}
	}
}

func place(a attribution.Claim) attribution.Place {
	return attribution.Place{Campaign: a.Campaign, Journey: a.Journey, Channel: a.Channel}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	v := attribution.Verifier{Keys: [][]byte{other, key}}
	places := []attribution.Place{
		{"bring-friend", "invitee", "wecom"}, {"bring-friend", "inviteep", "oster"}, {"bring-friend", "invitee", "poster"}, {"bring-friend", "", "poster"},
	}
	for _, body := range []string{"22222", "XXXXX", "7KQM4X2HP", "XXXXXXXXXXXX", "222222222223"} {
		a := claim(t)
		a.Inviter = inviter(t, body)
		token, err := attribution.SignCompact(key, a)
		if err != nil || len(token) != attribution.CompactLen || strings.Trim(token, urlSafe) != "" {
			t.Fatalf("%q, %v", token, err)
		}
		a.At = a.At.Truncate(time.Minute)
		if got, err := v.Compact(token, now, places...); err != nil || got != a {
			t.Errorf("%s is read as %+v, %v; want %+v", token, got, err, a)
		}
		if _, err := v.Compact(token, now, places[:2]...); !errors.Is(err, attribution.ErrUnknown) {
			t.Errorf("of a place that is not there: %v", err)
		}
		if _, err := v.Compact(token, now); !errors.Is(err, attribution.ErrUnknown) {
			t.Errorf("with no places: %v", err)
		}
		if _, err := v.Verify(token, now); !errors.Is(err, attribution.ErrMalformed) {
			t.Errorf("read as the full form: %v", err)
		}
		for name, c := range map[string]struct {
			token string
			now   time.Time
			want  error
		}{
			"cut":       {token[:26], now, attribution.ErrMalformed},
			"doubled":   {token + token, now, attribution.ErrMalformed},
			"expired":   {token, now.Add(attribution.MaxAge + 2*time.Minute), attribution.ErrExpired},
			"early":     {token, now.Add(-attribution.Skew - 2*time.Minute), attribution.ErrEarly},
			"full form": {attribution.Sign(key, a), now, attribution.ErrMalformed},
			"forged":    {token[:29] + flip(token[29]), now, attribution.ErrUnknown},
		} {
			if got, err := v.Compact(c.token, c.now, places...); !errors.Is(err, c.want) || got != (attribution.Claim{}) {
				t.Errorf("%s: %+v, %v; want %v", name, got, err, c.want)
			}
		}
	}
}

// flip changes one of the two bits that the last character of a compact token carries.
func flip(c byte) string {
	i := strings.IndexByte(urlSafe, c)
	return string(urlSafe[i^1<<5])
}

// Claims that differ have tokens that differ, and each is read as it was signed.
func TestClaimsAreToldApart(t *testing.T) {
	t.Parallel()
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab-邀\x00")), 0, 8, 24)
	draw := func(rt *rapid.T, name string) attribution.Claim {
		return attribution.Claim{
			Campaign: "c" + text.Draw(rt, name+" campaign"), Journey: text.Draw(rt, name+" journey"), Channel: text.Draw(rt, name+" channel"),
			Inviter: text.Draw(rt, name+" inviter"), At: now.Add(-time.Duration(rapid.IntRange(0, 3).Draw(rt, name+" seconds")) * time.Second),
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := draw(rt, "one"), draw(rt, "other")
		s := attribution.Sign(key, a)
		if got, err := attribution.Verify(key, s, now); err != nil || got != a {
			rt.Fatalf("%+v is read as %+v, %v", a, got, err)
		}
		if (s == attribution.Sign(key, b)) != (a == b) {
			rt.Fatalf("%+v and %+v", a, b)
		}
		// parts of one token in another
		cut := rapid.IntRange(1, len(s)-1).Draw(rt, "cut")
		if u := attribution.Sign(key, b); cut < len(u) {
			if mixed := s[:cut] + u[cut:]; mixed != s && mixed != u {
				if got, err := attribution.Verify(key, mixed, now); err == nil {
					rt.Fatalf("a mixture of two is read as %+v", got)
				}
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	a := attribution.Claim{Campaign: "bring-friend", Journey: "invitee", Channel: "poster", Inviter: "2222222222", At: now}
	compact, err := attribution.SignCompact(key, a)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "E", attribution.Sign(key, a), compact, "EAAAAAAA", "IAAAAAAA", strings.Repeat("_", attribution.CompactLen)} {
		f.Add(s)
	}
	v := attribution.Verifier{Keys: [][]byte{key, other}}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := v.Verify(s, now); err == nil && attribution.Sign(key, got) != s {
			t.Fatalf("%q is believed: %+v", s, got)
		}
		if got, err := v.Compact(s, now, place(a)); err == nil {
			if again, err := attribution.SignCompact(key, got); err != nil || again != s {
				t.Fatalf("%q is believed: %+v", s, got)
			}
		}
	})
}

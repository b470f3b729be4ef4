package starter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/attribution"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const bringing = `
campaign: bringing
title: 老带新
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
rewards:
  bring: {points: 200}
referral:
  link: https://shop.example/join?from=friend
  attribution: 1h
  qualifies: {on: order.paid, within: 30d}
  hold: 48h
  rewards: {inviter: bring}
journeys:
  inviter:
    start: {on: referral.vested}
    entry: every_time
    goal: {on: order.paid}
    steps:
      - wait: 1h
`

var linkSecret = []byte("a secret of sixteen bytes or more")

func servesReferrals(t *testing.T) *api {
	t.Helper()
	taker := &turn.Taker{Programs: turn.NewCache(), Via: []string{"console"}}
	a := serve(t, func(c *starter.Config) {
		taker.Store = c.Store
		r := &starter.Router{Store: c.Store, Taker: taker}
		c.Entrances, c.Referrals = r, r
		c.ReferralLinks = starter.ReferralLinks{Base: "https://go.shop.example", Keys: [][]byte{linkSecret}, Hosts: []string{"shop.example"}}
	})
	a.must("POST", "/v1/campaigns", bringing)
	a.must("POST", "/v1/campaigns/bringing/start", "")
	return a
}

// without sends a request as somebody who has no key and follows no redirect.
func (a *api) without(t *testing.T, method, path string, header ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, a.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if closing := answer.Body.Close(); err != nil || closing != nil {
		t.Fatal(err, closing)
	}
	return reply{answer.StatusCode, answer.Header, string(body)}
}

// From a code by a click to a binding, and what the lists say.
func TestReferralsOverHTTP(t *testing.T) {
	t.Parallel()
	a := servesReferrals(t)
	for _, m := range []string{"old", "new"} {
		a.must("PUT", "/v1/members/"+m, "{}")
	}
	var code, again starter.ReferralCodeAnswer
	a.must("POST", "/v1/campaigns/bringing/referrals/codes", `{"member":"old","device":"d-old","ip":"203.0.113.1","phone":"13800000001"}`).json(t, &code)
	a.must("POST", "/v1/campaigns/bringing/referrals/codes", `{"member":"old"}`).json(t, &again)
	if code.Code != again.Code || code.ShortLink != "https://go.shop.example/r/"+code.Code || code.State != "open" || code.Poster == "" {
		t.Fatalf("%+v %+v", code, again)
	}
	click := a.without(t, "GET", "/r/"+code.Code+"?channel=poster")
	to, err := url.Parse(click.header.Get("Location"))
	if err != nil || click.status != http.StatusFound || to.Host != "shop.example" || to.Path != "/join" || to.Query().Get("from") != "friend" {
		t.Fatalf("%d to %s", click.status, to)
	}
	if len(click.header.Values("Set-Cookie")) > 0 || click.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", click.header)
	}
	token := to.Query().Get("banyan_ref")
	claim, err := attribution.Verify(linkSecret, token, time.Now())
	if err != nil || claim.Campaign != "bringing" || claim.Inviter != code.Code || claim.Channel != "poster" {
		t.Fatalf("%+v %v", claim, err)
	}
	bind := fmt.Sprintf(`{"code":%q,"member":"new","attribution":%q,"ip":"203.0.113.77","device":"d-new","verified":true}`, strings.ToLower(code.Shown), token)
	var bound, same starter.ReferralAnswer
	if r := a.do("POST", "/v1/referrals", bind); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	} else {
		r.json(t, &bound)
	}
	a.must("POST", "/v1/referrals", bind).json(t, &same)
	if bound.State != campaign.ReferralBound || bound.Channel != "poster" || bound.Inviter != "old" || same.Referral != bound.Referral {
		t.Errorf("%+v, again %+v", bound, same)
	}
	var list starter.ReferralList
	a.must("GET", "/v1/campaigns/bringing/referrals?state=bound&inviter=old", "").json(t, &list)
	if len(list.Referrals) != 1 || list.Referrals[0].Invitee != "new" || list.Referrals[0].Code != code.Code {
		t.Errorf("%+v", list)
	}
	var leaders starter.LeaderList
	a.must("GET", "/v1/campaigns/bringing/referrals/leaderboard", "").json(t, &leaders)
	if len(leaders.Leaders) != 1 || leaders.Leaders[0].Inviter != "old" || leaders.Leaders[0].Bound != 1 || leaders.Leaders[0].Rank != 1 {
		t.Errorf("%+v", leaders)
	}
	picture := a.must("GET", code.Poster, "")
	if _, err := png.Decode(bytes.NewReader([]byte(picture.body))); err != nil || picture.header.Get("Content-Type") != "image/png" {
		t.Errorf("%v, %s", err, picture.header.Get("Content-Type"))
	}
	a.must("POST", "/v1/campaigns/bringing/referrals/codes", `{"member":"old"}`).json(t, &again)
	if again.Clicks != 1 {
		t.Errorf("%d clicks", again.Clicks)
	}
	a.must("POST", "/v1/campaigns/bringing/referrals/codes/"+code.Code+"/close", "")
	if r := a.without(t, "GET", "/r/"+code.Code); r.status != http.StatusNotFound {
		t.Errorf("a closed code: %d", r.status)
	}
	a.must("POST", "/v1/campaigns/bringing/referrals/codes/"+code.Code+"/open", "")
}

// Hostile input gets a clear problem, and nothing is stored.
func TestReferralsUnderHostileInput(t *testing.T) {
	t.Parallel()
	a := servesReferrals(t)
	a.must("POST", "/v1/campaigns", strings.Replace(bringing, "campaign: bringing", "campaign: other", 1))
	a.must("POST", "/v1/campaigns/other/start", "")
	for _, m := range []string{"old", "new", "victim"} {
		a.must("PUT", "/v1/members/"+m, "{}")
	}
	issue := func(of, member string) string {
		var c starter.ReferralCodeAnswer
		a.must("POST", "/v1/campaigns/"+of+"/referrals/codes", fmt.Sprintf(`{"member":%q}`, member)).json(t, &c)
		return c.Code
	}
	code, elsewhere := issue("bringing", "old"), issue("other", "old")
	sign := attribution.Sign
	honest := attribution.Claim{Campaign: "bringing", Inviter: code, At: time.Now()}
	stale, foreign := honest, honest
	stale.At = time.Now().Add(-2 * time.Hour)
	foreign.Campaign, foreign.Inviter = "other", elsewhere
	forged := []byte("another secret of enough bytes")
	with := func(token string) string {
		return fmt.Sprintf(`{"code":%q,"member":"new","attribution":%q}`, code, token)
	}
	counts := func() int {
		list, err := a.store.Referrals(t.Context(), "bringing", store.ReferralFilter{}, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := a.counts()
	for _, c := range []struct {
		what, method, path, body string
		status                   int
		says                     string
	}{
		{"a forged attribution", "POST", "/v1/referrals", with(sign(forged, honest)), 422, "not signed by us"},
		{"a damaged attribution", "POST", "/v1/referrals", with(sign(linkSecret, honest)[3:]), 422, "attribution"},
		{"an attribution that is too old", "POST", "/v1/referrals", with(sign(linkSecret, stale)), 409, "attribution_expired"},
		{"another campaign's attribution", "POST", "/v1/referrals", with(sign(linkSecret, foreign)), 409, "attribution_of_another"},
		{"no code", "POST", "/v1/referrals", `{"member":"new"}`, 422, "code"},
		{"no text for a code", "POST", "/v1/referrals", `{"code":9223372036854775808,"member":"new"}`, 422, "code"},
		{"a huge code", "POST", "/v1/referrals", `{"code":"` + strings.Repeat("A", 2000) + `","member":"victim"}`, 422, "code"},
		{"an unknown member", "POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"nobody"}`, code), 404, "nobody"},
		{"a member with a zero", "POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"a\u0000"}`, code), 422, "member"},
		{"no address", "POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"new","ip":"999.1.1.1"}`, code), 422, "ip"},
		{"no phone", "POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"new","phone":"ring me"}`, code), 422, "phone"},
		{"no mail", "POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"new","mail":"@"}`, code), 422, "mail"},
		{"no time", "POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"new","requested_at":"soon"}`, code), 422, "requested_at"},
		{"an unknown key", "POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"new","levels":2}`, code), 422, "levels"},
		{"herself", "POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"old"}`, code), 409, "self_referral"},
		{"a campaign without referrals", "POST", "/v1/campaigns/nothing/referrals/codes", `{"member":"old"}`, 404, "nothing"},
		{"a state that there is not", "GET", "/v1/campaigns/bringing/referrals?state=rich", "", 422, "state"},
		{"a cursor that is none", "GET", "/v1/campaigns/bringing/referrals?after=bm90IGEgbnVtYmVy", "", 422, "cursor"},
		{"a list of 2^63", "GET", "/v1/campaigns/bringing/referrals?limit=9223372036854775808", "", 422, ""},
		{"another campaign's poster", "GET", "/v1/campaigns/bringing/referrals/codes/" + elsewhere + "/poster.png", "", 404, "no such code"},
		{"a poster of a path", "GET", "/v1/campaigns/bringing/referrals/codes/..%2F..%2Fetc/poster.png", "", 404, ""},
	} {
		got := a.do(c.method, c.path, c.body)
		if got.status != c.status || !strings.Contains(got.body, c.says) || !strings.Contains(got.header.Get("Content-Type"), "problem+json") {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	if counts() != 0 || fmt.Sprint(a.counts()) != fmt.Sprint(before) {
		t.Errorf("something was stored: %v, before %v", a.counts(), before)
	}
	// Nobody tells from outside what happened to referrals, whatever id it has.
	for _, typ := range []string{"referral.bound", "referral.vested"} {
		body, _ := json.Marshal(map[string]any{
			"id": "forged-" + typ, "type": typ, "member": "victim", "time": time.Now().Format(time.RFC3339),
			"properties": map[string]string{"campaign": "bringing", "inviter": "old", "referral": "1"},
		})
		if r := a.do("POST", "/v1/events", string(body)); r.status != 422 || !strings.Contains(r.body, "Banyan itself tells") {
			t.Errorf("%s: %d %s", typ, r.status, r.body)
		}
	}
	// A code of another campaign binds there, and not here.
	var bound starter.ReferralAnswer
	a.must("POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"victim"}`, elsewhere)).json(t, &bound)
	if bound.Campaign != "other" || counts() != 0 {
		t.Errorf("%+v", bound)
	}
	// The same request for another member is no accident.
	a.must("POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"new","request":"nonce-1"}`, code))
	a.must("PUT", "/v1/members/third", "{}")
	if r := a.do("POST", "/v1/referrals", fmt.Sprintf(`{"code":%q,"member":"third","request":"nonce-1"}`, code)); r.status != 409 || !strings.Contains(r.body, "same request") {
		t.Errorf("a replayed request: %d %s", r.status, r.body)
	}
	reader := a.newKey(store.ScopeReportsRead)
	if r := a.do("POST", "/v1/referrals", `{}`, "Authorization", "Bearer "+reader); r.status != 403 {
		t.Errorf("with a key that may only read: %d", r.status)
	}
	// Guessing ends by itself, on both ways.
	for i := range 12 {
		r := a.do("POST", "/v1/referrals", fmt.Sprintf(`{"code":"23456789%02dX","member":"third"}`, i))
		if want := map[bool]int{true: 404, false: 429}[i < 10]; r.status != want || want == 429 && r.header.Get("Retry-After") == "" {
			t.Errorf("guess %d: %d %s", i, r.status, r.body)
		}
	}
	for i := range 12 {
		r := a.without(t, "GET", fmt.Sprintf("/r/23456789%02dX", i), "X-Forwarded-For", "198.51.100.9, 203.0.113.50")
		if want := map[bool]int{true: 404, false: 429}[i < 10]; r.status != want {
			t.Errorf("click %d: %d", i, r.status)
		}
	}
	if r := a.without(t, "GET", "/r/"+code, "X-Forwarded-For", "203.0.113.51"); r.status != http.StatusFound {
		t.Errorf("somebody else: %d", r.status)
	}
}

// A short link leads to no host that the operator has not allowed.
func TestShortLinksLeadToAllowedHostsAlone(t *testing.T) {
	t.Parallel()
	a := servesReferrals(t)
	a.must("PUT", "/v1/members/old", "{}")
	var c starter.ReferralCodeAnswer
	a.must("POST", "/v1/campaigns/bringing/referrals/codes", `{"member":"old"}`).json(t, &c)
	for _, link := range []string{"https://evil.example/join", "https://shop.example.evil.example/", "https://shop.example:444/"} {
		a.must("POST", "/v1/campaigns", strings.Replace(bringing, "https://shop.example/join?from=friend", link, 1))
		if r := a.without(t, "GET", "/r/"+c.Code); r.status != http.StatusNotFound || r.header.Get("Location") != "" {
			t.Errorf("%s: %d %s", link, r.status, r.header.Get("Location"))
		}
		var again starter.ReferralCodeAnswer
		a.must("POST", "/v1/campaigns/bringing/referrals/codes", `{"member":"old"}`).json(t, &again)
		if again.ShortLink != "" || a.do("GET", c.Poster, "").status != http.StatusConflict {
			t.Errorf("%s: a short link or a poster that leads nowhere: %+v", link, again)
		}
	}
	for _, wrong := range []string{"https://shop.example", "shop.example/join", "*.example", "a@b"} {
		if _, err := starter.ParseReferralHosts(wrong); err == nil {
			t.Errorf("%s was taken for a host", wrong)
		}
	}
}

package starter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/optout"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

func TestIdentities(t *testing.T) {
	a := serve(t)
	a.must("PUT", "/v1/members/m-1", `{}`)
	a.must("PUT", "/v1/members/m-2", `{}`)
	answered := a.must("PUT", "/v1/members/m-1/identities/mail", `{"address":"lin@example.com"}`)
	if strings.Contains(answered.body, "lin@") || !strings.Contains(answered.body, `"address":"l***@example.com"`) {
		t.Errorf("answered %s", answered.body)
	}
	const path = "/v1/members/m-1/identities/"
	ndjson := []string{"Content-Type", "application/x-ndjson"}
	readOnly := a.newKey(store.ScopeMembersRead)
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		says                     string
	}{
		{"no such kind", "PUT", path + "pigeon", `{"address":"x"}`, nil, 422, "kind"},
		{"no address", "PUT", path + "mail", `{"address":"lin"}`, nil, 422, "lin@example.com"},
		{"nothing", "PUT", path + "mail", `{}`, nil, 422, "nothing is told"},
		{"no such state", "PUT", path + "mail", `{"state":"gone"}`, nil, 422, "state"},
		{"no account", "PUT", path + "openid", `{"address":"o-1"}`, nil, 422, "app id"},
		{"an account too many", "PUT", path + "phone?account=x", `{"address":"13800000001"}`, nil, 422, "no account"},
		{"nobody", "PUT", "/v1/members/m-9/identities/mail", `{"address":"a@example.com"}`, nil, 404, "m-9"},
		{"nobody's", "GET", "/v1/members/m-9/identities", "", nil, 404, "m-9"},
		{"not there", "DELETE", path + "phone", "", nil, 404, "no such identity"},
		{"may not", "PUT", path + "mail", `{"address":"a@example.com"}`, []string{"Authorization", "Bearer " + readOnly}, 403, "members:write"},
		{"batch", "POST", "/v1/identities/batch", `{"member":"m-1","kind":"mail","address":"secret-address"}`, ndjson, 422, "identities[0].address"},
		{"batch, nobody", "POST", "/v1/identities/batch", `{"member":"m-9","kind":"phone","address":"13800000001"}`, ndjson, 404, "m-9"},
		{"found by nothing", "POST", "/v1/identities/find", `{"kind":"mail","address":"lin"}`, nil, 422, "lin@example.com"},
	} {
		got := a.do(c.method, c.path, c.body, c.headers...)
		if got.status != c.status || !strings.Contains(got.body, c.says) || strings.Contains(got.body, "secret-address") {
			t.Errorf("%s: %d %s, want %d with %q", c.name, got.status, got.body, c.status, c.says)
		}
	}
	if got := a.do("POST", "/v1/identities/batch", `{"member":"m-1","kind":"openid","account":"wx1","address":"o-12345678"}
{"member":"m-2","kind":"mail","address":"Lin@example.com"}`, ndjson...); got.status != 200 {
		t.Fatalf("batch: %d %s", got.status, got.body)
	}
	if got := a.must("POST", "/v1/identities/find", `{"kind":"mail","address":"lin@Example.com"}`); !strings.Contains(got.body, `["m-1","m-2"]`) {
		t.Errorf("found %s", got.body)
	}
	if got := a.must("GET", "/v1/members/m-1/identities", ""); !strings.Contains(got.body, `"kind":"openid","account":"wx1","address":"o-12***78"`) {
		t.Errorf("listed %s", got.body)
	}
	for _, gone := range []string{path + "openid?account=wx1", "/v1/members/m-1/identities"} {
		if got := a.do("DELETE", gone, ""); got.status != http.StatusNoContent {
			t.Errorf("%s: %d %s", gone, got.status, got.body)
		}
	}
	if got := a.must("GET", "/v1/members/m-1/identities", ""); !strings.Contains(got.body, `"identities":[]`) {
		t.Errorf("listed %s", got.body)
	}
}

// TestNothingOfAnAddressIsKept: by a hash without a key of a body with a phone number the
// number would be found in a minute, by trying all. These calls may be repeated as they are.
func TestNothingOfAnAddressIsKept(t *testing.T) {
	a := serve(t)
	a.must("PUT", "/v1/members/m-1", `{}`)
	a.must("PUT", "/v1/members/a%2Fb", `{}`)
	for _, c := range []struct{ method, path, body, format string }{
		{"PUT", "/v1/members/m-1/identities/phone", `{"address":"13800000001"}`, ""},
		{"PUT", "/v1/members/a%2Fb/identities/phone", `{"address":"13800000001"}`, ""},
		{"PUT", "/v1/members/m-1/%69dentities/phone", `{"address":"13800000001"}`, ""},
		{"POST", "/v1/identities/batch", `{"member":"m-1","kind":"phone","address":"13800000001"}`, "application/x-ndjson"},
		{"POST", "/v1/identities/find", `{"kind":"phone","address":"13800000001"}`, ""},
		{"DELETE", "/v1/members/a%2Fb/identities", "", ""},
	} {
		for range 2 {
			headers := []string{"Idempotency-Key", c.method + c.path}
			if c.format != "" {
				headers = append(headers, "Content-Type", c.format)
			}
			if got := a.do(c.method, c.path, c.body, headers...); got.status >= 300 || got.header.Get("Idempotency-Replayed") != "" {
				t.Errorf("%s %s: %d %s, replayed %q", c.method, c.path, got.status, got.body, got.header.Get("Idempotency-Replayed"))
			}
		}
	}
	var kept int
	if err := a.row("select count(*) from idempotency").Scan(&kept); err != nil || kept != 0 {
		t.Errorf("%d are kept, %v", kept, err)
	}
	if a.must("PUT", "/v1/members/m-2", `{}`, "Idempotency-Key", "k"); a.must("PUT", "/v1/members/m-2", `{}`, "Idempotency-Key", "k").header.Get("Idempotency-Replayed") == "" {
		t.Error("a member's own call is not kept")
	}
}

// TestOptOutLink follows the link at the end of a mail, without a key.
func TestOptOutLink(t *testing.T) {
	links, err := optout.New("https://banyan.example.com", "a secret of more than sixteen bytes")
	if err != nil {
		t.Fatal(err)
	}
	a := serve(t, func(c *starter.Config) { c.OptOut = links })
	a.must("PUT", "/v1/members/m-1", `{}`)
	a.must("PUT", "/v1/members/m-1/identities/mail", `{"address":"lin@example.com"}`)
	state := func() string {
		list, err := a.store.Identities(t.Context(), "m-1")
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return string(list[0].State) + " " + list[0].Reason
	}
	nobody := []string{"Authorization", ""}
	form := append([]string{"Content-Type", "application/x-www-form-urlencoded"}, nobody...)
	link := func(id int64) string { return strings.TrimPrefix(links.URL(id), "https://banyan.example.com") }

	asked := a.do("GET", link(1), "", nobody...)
	if asked.status != 200 || !strings.Contains(asked.body, "<button") || strings.Contains(asked.body, "lin") || state() != "reachable " {
		t.Errorf("the link: %d, %s; the state is %q", asked.status, asked.body, state())
	}
	if zh := a.do("GET", link(1), "", append([]string{"Accept-Language", "zh-CN,zh;q=0.9"}, nobody...)...); !strings.Contains(zh.body, "退订") {
		t.Errorf("in Chinese: %s", zh.body)
	}
	for name, c := range map[string]struct {
		path   string
		body   string
		status int
	}{
		"forged":      {optout.Path + "AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAA", "", 404},
		"broken":      {optout.Path + "x", "", 404},
		"nobody's":    {link(99), "", 404},
		"too much":    {link(1), strings.Repeat("x", 5000), 413},
		"no token":    {optout.Path, "", 404},
		"wrong level": {link(1) + "/more", "", 404},
	} {
		if got := a.do("POST", c.path, c.body, form...); got.status != c.status {
			t.Errorf("%s: %d, want %d", name, got.status, c.status)
		}
	}
	if state() != "reachable " {
		t.Fatalf("the state is %q", state())
	}
	for range 2 {
		if got := a.do("POST", link(1), "List-Unsubscribe=One-Click", form...); got.status != 200 || state() != "opted_out one_click" {
			t.Errorf("one click: %d %s; the state is %q", got.status, got.body, state())
		}
	}
	other := serve(t) // without a secret no link is believed
	if got := other.do("POST", link(1), "", form...); got.status != 404 {
		t.Errorf("without a secret: %d", got.status)
	}
}

// A campaign that sends by a channel which is not set up is refused, with what there is.
func TestAChannelThatIsNotSetUp(t *testing.T) {
	const mailed = `
campaign: mailed
title: by mail
events:
  order.paid: {order: string, offer: string, amount: money}
offers:
  card: {title: Card, price: 199, list_price: 299, lock: 48h}
messages:
  hello: {text: Hello, mail: {subject: Hello}}
journeys:
  main:
    start: {api: true}
    goal: {on: order.paid}
    steps:
      - offer: card
        announce: hello
        via: [webhook, mail]
`
	a := serve(t, func(c *starter.Config) { c.Channels = []string{"console", "webhook"} })
	got := a.do("POST", "/v1/campaigns", mailed, "Content-Type", "application/yaml")
	if got.status != 422 || !strings.Contains(got.body, `the channel \"mail\" is not set up`) || !strings.Contains(got.body, "there is: console, webhook") {
		t.Errorf("%d %s", got.status, got.body)
	}
	a = serve(t, func(c *starter.Config) { c.Channels = []string{"console", "webhook", "mail"} })
	if got := a.do("POST", "/v1/campaigns", mailed, "Content-Type", "application/yaml"); got.status != 201 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

package starter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// Points are reserved, captured and cancelled over HTTP; what makes no sense is refused with
// a problem that says why, and stores nothing.
func TestRedemptions(t *testing.T) {
	a := played(t)
	const member = "/v1/members/m-02/redemptions"
	var r starter.RedemptionAnswer
	got := a.do("POST", member, `{"redemption":"r-1","points":30,"order":"o-1","for":"1h"}`)
	got.json(t, &r)
	if got.status != http.StatusCreated || r.State != store.RedemptionReserved || r.Points != 30 || r.ExpiresAt.Sub(r.ReservedAt).Minutes() != 60 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, c := range []struct {
		what, path, body string
		status           int
		says             string
	}{
		{"less than none", member, `{"redemption":"x","points":-1,"order":"o"}`, 422, "points"},
		{"none", member, `{"redemption":"x","points":0,"order":"o"}`, 422, "points"},
		{"2^63", member, `{"redemption":"x","points":9223372036854775808,"order":"o"}`, 422, "points"},
		{"2^63-1", member, `{"redemption":"x","points":9223372036854775807,"order":"o"}`, 422, "points"},
		{"half a point", member, `{"redemption":"x","points":1.5,"order":"o"}`, 422, "points"},
		{"no number", member, `{"redemption":"x","points":NaN,"order":"o"}`, 400, ""},
		{"a text", member, `{"redemption":"x","points":"10","order":"o"}`, 422, "points"},
		{"no order", member, `{"redemption":"x","points":10}`, 422, "order"},
		{"no id", member, `{"points":10,"order":"o"}`, 422, "redemption"},
		{"a zero character", member, `{"redemption":"x\u0000","points":10,"order":"o"}`, 422, "redemption"},
		{"a long id", member, `{"redemption":"` + strings.Repeat("长", 60) + `","points":10,"order":"o"}`, 422, "redemption"},
		{"no span", member, `{"redemption":"x","points":10,"order":"o","for":"soon"}`, 422, "for"},
		{"a negative span", member, `{"redemption":"x","points":10,"order":"o","for":"-1h"}`, 422, "for"},
		{"too long", member, `{"redemption":"x","points":10,"order":"o","for":"31d"}`, 422, "30d"},
		{"an unknown key", member, `{"redemption":"x","points":10,"order":"o","free":true}`, 422, "free"},
		{"nobody", "/v1/members/nobody/redemptions", `{"redemption":"x","points":10,"order":"o"}`, 404, "nobody"},
		{"more than she has", member, `{"redemption":"x","points":71,"order":"o"}`, 409, "70 points"},
		{"the id of another", "/v1/members/m-03/redemptions", `{"redemption":"r-1","points":30,"order":"o-1","for":"1h"}`, 409, "another one"},
		{"an unknown one", "/v1/redemptions/x/capture", "", 404, "x"},
		{"an unknown one", "/v1/redemptions/x/cancel", "", 404, "x"},
	} {
		got := a.do("POST", c.path, c.body)
		if got.status != c.status || !strings.Contains(got.body, c.says) || !strings.Contains(got.header.Get("Content-Type"), "problem+json") {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	var list starter.RedemptionList
	a.must("GET", member, "").json(t, &list)
	if len(list.Redemptions) != 1 || list.Redemptions[0].Redemption != "r-1" {
		t.Fatalf("%+v", list)
	}
	for range 2 {
		a.must("POST", "/v1/redemptions/r-1/capture", "").json(t, &r)
		if r.State != store.RedemptionCaptured || r.ClosedAt == nil {
			t.Errorf("%+v", r)
		}
	}
	if got := a.do("POST", "/v1/redemptions/r-1/cancel", ""); got.status != http.StatusConflict || !strings.Contains(got.body, "captured") {
		t.Errorf("%d %s", got.status, got.body)
	}
	a.must("GET", "/v1/redemptions/r-1", "").json(t, &r)
	if r.State != store.RedemptionCaptured {
		t.Errorf("%+v", r)
	}
	reader, _, err := a.store.CreateKey(t.Context(), "reader", []store.Scope{store.ScopeMembersRead}, r.ReservedAt.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.do("POST", member, `{"redemption":"r-2","points":1,"order":"o"}`, "Authorization", "Bearer "+reader); got.status != http.StatusForbidden {
		t.Errorf("with a key that may only read: %d", got.status)
	}
	if got := a.do("GET", member, "", "Authorization", "Bearer "+reader); got.status != http.StatusOK {
		t.Errorf("with a key that may read: %d", got.status)
	}
	findings, err := a.store.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if !f.OK && (f.Check == "redemptions" || f.Check == "balances" || f.Check == "ledger") {
			t.Errorf("%+v", f)
		}
	}
}

package starter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const till = `
campaign: till
title: till
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string, amount: money, refund: string}
offers:
  card: {price: 199, list_price: 299, lock: 48h, stock: 1}
rewards:
  first: {points: 100}
journeys:
  buy:
    start: {api: true}
    goal: {on: order.paid}
    on_goal: continue
    steps:
      - offer: card
        taken:
          - grant: first
`

// shop serves the campaign till with a member to whom the offer was made, and takes turns.
func shop(t *testing.T) (a *api, offer string, look func()) {
	t.Helper()
	taker := &turn.Taker{Programs: turn.NewCache(), Via: []string{"console"}}
	a = serve(t, func(c *starter.Config) {
		taker.Store = c.Store
		c.Entrances = &starter.Router{Store: c.Store, Taker: taker}
	})
	a.must("POST", "/v1/campaigns", till)
	a.must("POST", "/v1/campaigns/till/start", "")
	a.must("PUT", "/v1/members/m-1", "{}")
	var entry starter.EntryAnswer
	a.must("POST", "/v1/campaigns/till/journeys/buy/entries", `{"member":"m-1"}`).json(t, &entry)
	var row int64
	if _, err := fmt.Sscan(entry.Journey, &row); err != nil {
		t.Fatal(err)
	}
	turns := 0
	over := false
	look = func() {
		t.Helper()
		if over {
			if err := taker.After(t.Context(), row); err != nil {
				t.Fatal(err)
			}
			return
		}
		r, err := taker.Advance(t.Context(), row, turns+1)
		if err != nil {
			t.Fatal(err)
		}
		turns, over = r.Turn, r.Outcome != ""
	}
	look()
	var list starter.OfferList
	a.must("GET", "/v1/members/m-1/offers", "").json(t, &list)
	if len(list.Offers) != 1 {
		t.Fatalf("%d offers", len(list.Offers))
	}
	return a, list.Offers[0].ID, look
}

func order(id, typ, properties string) string {
	return fmt.Sprintf(`{"id":%q,"type":%q,"member":"m-1","time":%q,"properties":%s}`, id, typ, time.Now().UTC().Format(time.RFC3339Nano), properties)
}

// An offer is reserved, released and captured over HTTP, with the keys of repeated calls as
// everywhere, and what makes no sense is refused and stores nothing.
func TestReserveOffer(t *testing.T) {
	t.Parallel()
	a, offer, look := shop(t)
	path := "/v1/offers/" + offer + "/reservation"
	for _, c := range []struct {
		what, method, path, body string
		status                   int
		says                     string
	}{
		{"no order", "POST", path, `{}`, 422, "order"},
		{"an empty order", "POST", path, `{"order":""}`, 422, "order"},
		{"a number", "POST", path, `{"order":9223372036854775808}`, 422, "order"},
		{"no JSON", "POST", path, `{"order":NaN}`, 400, ""},
		{"a zero character", "POST", path, `{"order":"a\u0000"}`, 422, "order"},
		{"a long id", "POST", path, `{"order":"` + strings.Repeat("长", 43) + `"}`, 422, "order"},
		{"an unknown key", "POST", path, `{"order":"o","for":"30d"}`, 422, "for"},
		{"another offer", "POST", "/v1/offers/of_none/reservation", `{"order":"o"}`, 404, "of_none"},
		{"no text", "POST", "/v1/offers/%ff/reservation", `{"order":"o"}`, 422, ""},
		{"nothing to release", "DELETE", path + "?order=o", "", 404, "has not reserved"},
		{"release of nothing", "DELETE", path, "", 422, "order"},
		{"release of a zero character", "DELETE", path + "?order=%00", "", 422, ""},
	} {
		got := a.do(c.method, c.path, c.body)
		if got.status != c.status || !strings.Contains(got.body, c.says) || !strings.Contains(got.header.Get("Content-Type"), "problem+json") {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	var r starter.ReservationAnswer
	got := a.do("POST", path, `{"order":"o 1/2"}`)
	got.json(t, &r)
	if again := a.do("POST", path, `{"order":"o 1/2"}`); again.status != http.StatusCreated || again.body != got.body {
		t.Errorf("asked again: %d %s", again.status, again.body)
	}
	if got.status != http.StatusCreated || r.State != store.ReservationReserved || r.ExpiresAt.Sub(r.ReservedAt) != 15*time.Minute || r.Price.Amount != "199.00" || r.Order != "o 1/2" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var shown starter.OfferAnswer
	a.must("GET", "/v1/offers/"+offer, "").json(t, &shown)
	if len(shown.Reservations) != 1 || shown.Reservations[0] != r {
		t.Errorf("%+v", shown)
	}
	var gone starter.ReservationAnswer
	a.must("DELETE", path+"?order="+url.QueryEscape("o 1/2"), "").json(t, &gone)
	if gone.State != store.ReservationReleased || gone.ClosedAt == nil {
		t.Errorf("%+v", gone)
	}
	a.must("POST", path, `{"order":"o-2"}`, "Idempotency-Key", "k-1").json(t, &r)
	if again := a.must("POST", path, `{"order":"o-2"}`, "Idempotency-Key", "k-1"); again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeated call was done anew: %s", again.body)
	}
	if other := a.do("POST", path, `{"order":"o-9"}`, "Idempotency-Key", "k-1"); other.status != 422 {
		t.Errorf("the key of another call: %d %s", other.status, other.body)
	}
	a.must("POST", "/v1/events", order("p", "order.paid", `{"order":"o-2","offer":"card","amount":"199.00"}`))
	look()
	shown = starter.OfferAnswer{}
	a.must("GET", "/v1/offers/"+offer, "").json(t, &shown)
	if shown.State != campaign.OfferTaken || shown.Order != "o-2" || len(shown.Reservations) != 0 {
		t.Errorf("%+v", shown)
	}
	if got := a.do("POST", path, `{"order":"o-3"}`); got.status != 409 || !strings.Contains(got.body, "taken at") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := a.do("DELETE", path+"?order=o-2", ""); got.status != 409 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// What nobody can have paid or got back is refused, and nothing is stored of it.
func TestImpossiblePayments(t *testing.T) {
	t.Parallel()
	a, offer, look := shop(t)
	for what, c := range map[string]struct{ properties, says string }{
		"negative":             {`{"order":"o","offer":"card","amount":"-199.00"}`, "not negative"},
		"a negative object":    {`{"order":"o","offer":"card","amount":{"amount":"-0.01","currency":"CNY"}}`, "not negative"},
		"2^63":                 {`{"order":"o","offer":"card","amount":"92233720368547758.08"}`, "amount"},
		"2^63-1 in fen":        {`{"order":"o","offer":"card","amount":"92233720368547758.07"}`, "amount"},
		"more than there is":   {`{"order":"o","offer":"card","amount":"10000000000.01"}`, "at most 10000000000.00"},
		"a number":             {`{"order":"o","offer":"card","amount":199.00}`, "amount"},
		"a number without end": {`{"order":"o","offer":"card","amount":1e999}`, "too large"},
		"no currency":          {`{"order":"o","offer":"card","amount":{"amount":"199.00","currency":"XXX"}}`, "amount"},
		"a text":               {`{"order":"o","offer":"card","amount":"NaN"}`, "amount"},
		"three decimals":       {`{"order":"o","offer":"card","amount":"199.001"}`, "amount"},
		"a long order":         {`{"order":"` + strings.Repeat("x", 129) + `","offer":"card","amount":"199.00"}`, "128 bytes"},
		"a long refund":        {`{"order":"o","refund":"` + strings.Repeat("x", 129) + `"}`, "128 bytes"},
		"a control character":  {`{"order":"o\n","offer":"card","amount":"199.00"}`, "control"},
	} {
		for _, typ := range []string{"order.paid", "order.refunded"} {
			if got := a.do("POST", "/v1/events", order("x", typ, c.properties)); got.status != 422 || !strings.Contains(got.body, c.says) {
				t.Errorf("%s of %s: %d %s", what, typ, got.status, got.body)
			}
		}
	}
	if got := a.do("POST", "/v1/events", order("x", "order.paid", `{"order":"o","amount":NaN}`)); got.status != 400 {
		t.Errorf("NaN: %d %s", got.status, got.body)
	}
	// Another campaign may count in another currency, so it is stored; it takes nothing here.
	a.must("POST", "/v1/events", order("usd", "order.paid", `{"order":"o-1","offer":"card","amount":{"amount":"199.00","currency":"USD"}}`))
	a.must("POST", "/v1/events", order("less", "order.paid", `{"order":"o-2","offer":"card","amount":"198.99"}`))
	look()
	var list starter.ReviewList
	a.must("GET", "/v1/reviews", "").json(t, &list)
	kinds := map[campaign.ReviewKind]starter.ReviewAnswer{}
	for _, r := range list.Reviews {
		kinds[r.Kind] = r
	}
	if r := kinds[campaign.ReviewCurrency]; len(list.Reviews) != 2 || r.Detail["order"] != "o-1" || r.Detail["paid"] != "$199.00" || r.Detail["price"] != "¥199.00" || r.State != campaign.ReviewOpen {
		t.Errorf("%+v", list)
	}
	if r := kinds[campaign.ReviewUnderpaid]; r.Detail["order"] != "o-2" || r.Detail["paid"] != "¥198.99" {
		t.Errorf("%+v", list)
	}
	var shown starter.OfferAnswer
	a.must("GET", "/v1/offers/"+offer, "").json(t, &shown)
	if shown.State != campaign.OfferOpen {
		t.Errorf("%+v", shown)
	}
	var story json.RawMessage
	a.must("GET", "/v1/members/m-1/explain", "").json(t, &story)
	for _, want := range []string{"another currency", "which costs ¥199.00: flagged"} {
		if !strings.Contains(string(story), want) {
			t.Errorf("the story does not say %q", want)
		}
	}
}

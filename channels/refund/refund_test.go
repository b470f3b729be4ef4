package refund_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/conformance"
	"github.com/banyanhq/banyan/channels/refund"
	"github.com/banyanhq/banyan/channels/refund/refundtest"
)

const secret = "a shared secret for tests alone"

func pair(t *testing.T) (*refund.Channel, *refundtest.Shop) {
	t.Helper()
	shop := &refundtest.Shop{Secret: secret, RetryAfter: conformance.RetryAfter}
	server := httptest.NewServer(shop)
	t.Cleanup(server.Close)
	c, err := refund.New(refund.Config{URL: server.URL + "/t0ken", Secret: secret, AllowPrivate: true, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c, shop
}

func request(t *testing.T, order string) channels.Message {
	t.Helper()
	body, err := json.Marshal(campaign.RefundRequest{
		Step: "2", Offer: "gear", Order: order, Team: "CDFGHJKMNP", Amount: campaign.Money{Minor: 38000, Currency: "CNY"}, Reason: campaign.RefundTeamFailed,
	})
	if err != nil {
		t.Fatal(err)
	}
	return channels.Message{
		Key: "shop/v1/main/张三/1/2/2/team/e-1/refund", Channel: refund.Name, Campaign: "shop", Journey: "main", Name: "gear", Member: "张三",
		Body: string(body), Kind: campaign.KindRefund, At: time.Date(2026, 12, 1, 20, 15, 3, 0, time.UTC), Attempt: 1,
	}
}

// asMessages lets the suite of all channels, which knows texts alone, ask for refunds.
type asMessages struct{ *refund.Channel }

func (c asMessages) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if utf8.ValidString(m.Body) {
		body, err := json.Marshal(campaign.RefundRequest{Order: m.Body, Amount: campaign.Money{Minor: 1, Currency: "CNY"}})
		if err != nil {
			return channels.Receipt{}, err
		}
		m.Body = string(body)
	}
	return c.Channel.Deliver(ctx, m)
}

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		t.Helper()
		c, shop := pair(t)
		return conformance.Harness{
			Channel: asMessages{c}, Secrets: []string{secret, "t0ken"},
			Delivered: func(m channels.Message) (bodies []string) {
				for _, r := range shop.Done() {
					if r.Key == m.Key {
						bodies = append(bodies, r.Order)
					}
				}
				return bodies
			},
			Arrange: func(f conformance.Fault) bool {
				shop.Next(map[conformance.Fault]refundtest.Fault{
					conformance.Refuse: refundtest.Unknown, conformance.Throttle: refundtest.Busy,
					conformance.Drop: refundtest.Drop, conformance.Stall: refundtest.Stall,
				}[f])
				return true
			},
		}
	})
}

func TestTheRequest(t *testing.T) {
	c, shop := pair(t)
	receipt, err := c.Deliver(t.Context(), request(t, "o-1"))
	if err != nil || receipt.ProviderID != "re-1" {
		t.Fatalf("%+v, %v", receipt, err)
	}
	done := shop.Done()
	if len(done) != 1 || len(shop.Bad()) != 0 {
		t.Fatalf("paid back %+v, bad %v", done, shop.Bad())
	}
	p := done[0].Payload
	if p.Order != "o-1" || p.Offer != "gear" || p.Team != "CDFGHJKMNP" || p.Amount.Minor != 38000 || p.Amount.Currency != "CNY" ||
		p.Reason != campaign.RefundTeamFailed || p.Member != "张三" || p.Campaign != "shop" || p.Journey != "main" || p.Step != "2" {
		t.Errorf("the shop got %+v", p)
	}
}

func TestFailures(t *testing.T) {
	for fault, want := range map[refundtest.Fault]string{
		refundtest.Busy: "retry: http_429", refundtest.Unavailable: "retry: http_500", refundtest.Unknown: "refused: http_404",
		refundtest.Stranger: "config: http_401", refundtest.Redirect: "config: http_307", refundtest.Drop: "unknown: connection_lost", refundtest.Stall: "unknown: timeout",
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			c, shop := pair(t)
			shop.Next(fault)
			if _, err := c.Deliver(t.Context(), request(t, "o-1")); err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
			// The same key again is the same refund.
			if receipt, err := c.Deliver(t.Context(), request(t, "o-1")); err != nil || receipt.ProviderID != "re-1" || len(shop.Done()) != 1 {
				t.Errorf("again: %+v, %v, paid back %v", receipt, err, shop.Done())
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for url, want := range map[string]string{
		"":                             "",
		"https://shop.example.com/r":   "",
		"shop":                         "is not a URL",
		"ftp://shop.example.com":       "is not a URL",
		"http://shop.example.com":      "is not https",
		"https://u:p@shop.example.com": "holds a user",
		"https://shop.example.com/#a":  "after #",
		"https://10.0.0.1/refunds":     "private address",
	} {
		_, err := refund.New(refund.Config{URL: url, Secret: secret})
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "example")) && want != "is not a URL" {
			t.Errorf("%q: %v, want %q", url, err, want)
		}
	}
	if _, err := refund.New(refund.Config{URL: "https://shop.example.com/s3cret", Secret: "short"}); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a short secret: %v", err)
	}
	cfg := refund.Config{URL: "https://shop.example.com/s3cret", Secret: secret}
	if text := fmt.Sprintf("%v %#v %s", cfg, cfg, cfg.LogValue()); strings.Contains(text, "s3cret") || strings.Contains(text, secret) {
		t.Errorf("it shows %s", text)
	}
	c, err := refund.New(refund.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Deliver(t.Context(), request(t, "o-1")); err == nil || err.Error() != "config: no_shop" {
		t.Errorf("without a shop: %v", err)
	}
}

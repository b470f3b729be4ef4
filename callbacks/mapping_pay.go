package callbacks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

const (
	eventPaid        = "payment.succeeded"
	eventRefunded    = "payment.refunded"
	eventNotRefunded = "payment.refund_failed"
)

// What is taken of a notification. Amounts are integers in fen.
var (
	paid = []take{
		{from: "out_trade_no", as: "order"},
		{from: "transaction_id", as: "transaction"},
		{from: "amount.total", as: "total"},
		{from: "amount.payer_total", as: "payer_total"},
		{from: "amount.currency", as: "currency"},
		{from: "trade_type", as: "trade_type"},
		{from: "attach", as: "attach"},
	}
	refunded = []take{
		{from: "out_trade_no", as: "order"},
		{from: "transaction_id", as: "transaction"},
		{from: "out_refund_no", as: "refund"},
		{from: "refund_id", as: "refund_id"},
		{from: "amount.total", as: "total"},
		{from: "amount.refund", as: "refunded"},
		{from: "amount.payer_refund", as: "payer_refunded"},
		{from: "refund_status", as: "status"},
	}
)

// amounts are the properties that are integers.
var amounts = []string{"total", "payer_total", "refunded", "payer_refunded"}

// personal is what says who paid and with which card.
var personal = []string{"payer", "user_received_account", "bank_type", "scene_info"}

func mapPay(c *Callback, in fields) ([]Told, error) {
	transaction := in.text("transaction_id")
	if transaction == "" {
		return nil, fmt.Errorf("%s: it names no transaction", c.Sort)
	}
	payment := strings.Join([]string{string(Pay), c.Account, "payment", transaction}, "\x00")
	switch {
	case in.text("refund_status") != "":
		t := Told{Type: eventNotRefunded, Time: momentOf(in, c.Received), Whom: Whom{EventKey: payment}}
		t.Key = strings.Join([]string{string(Pay), c.Account, "refund", in.text("refund_id"), in.text("refund_status")}, "\x00")
		if in.text("refund_status") == "SUCCESS" {
			t.Type = eventRefunded
		}
		if in.text("refund_id") == "" {
			return nil, fmt.Errorf("%s: it names no refund", c.Sort)
		}
		return tellPay(t, in, refunded)
	case in.text("trade_state") == "SUCCESS":
		address, why := campaign.ParseAddress(campaign.IdentityOpenID, in.text("payer", "openid"))
		if why != "" || in.text("appid") == "" {
			return nil, fmt.Errorf("%s: it names no payer", c.Sort)
		}
		whom := Whom{Kind: campaign.IdentityOpenID, Account: in.text("appid"), Address: address}
		return tellPay(Told{Type: eventPaid, Key: payment, Time: momentOf(in, c.Received), Whom: whom}, in, paid)
	}
	return nil, nil
}

func tellPay(t Told, in fields, takes []take) ([]Told, error) {
	properties, used := map[string]any{}, slices.Clone(personal)
	used = append(used, "success_time", "amount")
	for _, take := range takes {
		used = append(used, take.from)
		v := in.text(strings.Split(take.from, ".")...)
		if !slices.Contains(amounts, take.as) {
			if v != "" {
				properties[take.as] = v
			}
			continue
		}
		if v == "" && take.as != "total" && take.as != "refunded" {
			continue
		}
		fen, err := strconv.ParseInt(v, 10, 64)
		if err != nil || fen < 0 || fen > campaign.MaxPayment {
			return nil, fmt.Errorf("%s: %s is no amount in fen", t.Type, take.from)
		}
		properties[take.as] = fen
	}
	other := maps.Clone(in)
	maps.DeleteFunc(other, func(name string, v any) bool { return v == "" || v == nil || slices.Contains(used, name) })
	if amount, ok := in["amount"].(fields); ok {
		more := maps.Clone(amount)
		maps.DeleteFunc(more, func(name string, _ any) bool { return slices.Contains(used, "amount."+name) })
		if len(more) > 0 {
			other["amount"] = more
		}
	}
	if len(other) > 0 {
		properties["other"] = other
	}
	text, err := json.Marshal(properties)
	if err != nil {
		return nil, errPayload
	}
	t.Properties = text
	return []Told{t}, nil
}

func momentOf(in fields, received time.Time) time.Time {
	at, err := time.Parse(time.RFC3339, in.text("success_time"))
	if err != nil {
		return received
	}
	return plausible(at, received)
}

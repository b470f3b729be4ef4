package starter

import (
	"encoding/json"
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// checkPayment checks what an event of an order says beyond its types: ids that can be kept,
// and an amount that somebody could have paid. What is not declared is checked where it can
// be read; the core reads it, too.
func checkPayment(eventType string, object map[string]any, add func(field, message, hint string)) {
	if eventType != campaign.EventOrderPaid && !slices.Contains(campaign.RefundEvents(), eventType) {
		return
	}
	for _, name := range []string{campaign.PropertyOrder, campaign.PropertyRefund} {
		if id, is := object[name].(string); is && id != "" {
			if why := checkID(id); why != "" {
				add("properties."+name, "the id cannot be used: "+why, "")
			}
		}
	}
	value, has := object[campaign.PropertyAmount]
	if !has {
		return
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return // told already: it is of another type
	}
	var paid campaign.Money
	if json.Unmarshal(raw, &paid) != nil {
		return
	}
	switch {
	case paid.Minor < 0:
		add("properties."+campaign.PropertyAmount, "an amount that was paid or refunded is not negative", "write what was paid; a refund is the event "+campaign.EventOrderRefunded)
	case paid.Minor > campaign.MaxPayment:
		add("properties."+campaign.PropertyAmount, "an order or a refund is worth at most "+campaign.Money{Minor: campaign.MaxPayment, Currency: paid.Currency}.Decimal(), "write the amount in the currency's own unit, such as 199.00")
	}
}

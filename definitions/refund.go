package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

// onRefund reads what becomes of an offer or a reward when the order behind it is refunded.
// The first of the words is what holds where nothing is written.
func (c *checker) onRefund(o object, words ...campaign.OnRefund) campaign.OnRefund {
	v, ok := o.get("on_refund")
	if !ok {
		return ""
	}
	word, ok := oneOf(c, v, words...)
	if ok && len(c.def.Refunds()) == 0 {
		c.problem(v, "refund-event", fmt.Sprintf("nothing tells the campaign that an order is refunded, so %q never happens", word),
			"add under `events:` the line `order.refunded: {order: string, amount: money}`, or `order.charged_back` with the same")
	}
	if word == words[0] {
		return ""
	}
	return word
}

// reservation reads the event by which a test tells that an order has reserved an offer; nil:
// it is another event.
func (c *checker) reservation(n node) *campaign.EventType {
	if _, declared := c.def.Event(campaign.WordOfferReserved); declared || !n.isScalar() || n.yaml.Value != campaign.WordOfferReserved {
		return nil
	}
	return &campaign.EventType{Name: campaign.EventOfferReserved, Properties: []campaign.Property{
		{Name: campaign.PropertyOrder, Type: campaign.TypeString}, {Name: campaign.PropertyOffer, Type: campaign.TypeString},
	}}
}

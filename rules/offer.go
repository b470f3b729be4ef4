package rules

import (
	"time"

	"cel.dev/cel-go/common/types"

	"github.com/banyanhq/banyan/campaign"
)

// OfferView is what expressions may read of an offer that was made to a member.
type OfferView struct {
	ID, Name, Title  string
	Price, ListPrice campaign.Money
	ExpiresAt        time.Time
}

// offerObject describes offer.
func offerObject() *object {
	o := newObject(varOffer)
	add := func(name string, slot int, typ *types.Type, fill func(*activation, *slotValue, *OfferView)) {
		o.add(&field{
			name: name, typ: typ,
			get: func(a *activation) (any, error) {
				if a.facts.Offer == nil {
					return nil, errNoOffer
				}
				s := &a.offer[slot]
				fill(a, s, a.facts.Offer)
				return s.val, nil
			},
			has: func(a *activation) bool { return a.facts.Offer != nil },
		})
	}
	text := func(name string, slot int, of func(*OfferView) string) {
		add(name, slot, types.StringType, func(_ *activation, s *slotValue, v *OfferView) { s.setText(of(v)) })
	}
	amount := func(name string, slot int, of func(*OfferView) campaign.Money) {
		add(name, slot, moneyType, func(a *activation, s *slotValue, v *OfferView) { s.setMoney(a.env.inCurrency(of(v))) })
	}
	text("id", 0, func(v *OfferView) string { return v.ID })
	text("name", 1, func(v *OfferView) string { return v.Name })
	text("title", 2, func(v *OfferView) string { return v.Title })
	amount("price", 3, func(v *OfferView) campaign.Money { return v.Price })
	amount("list_price", 4, func(v *OfferView) campaign.Money { return v.ListPrice })
	add("expires_at", 5, types.TimestampType, func(a *activation, s *slotValue, v *OfferView) { s.setTime(v.ExpiresAt, a.env.loc) })
	return o
}

// offerSlots is how many fields an offer has.
const offerSlots = 6

// errNoOffer is what reading an offer gives where none was made.
var errNoOffer = campaign.Errorf(campaign.CodeConflict, "no offer was made to this member, so `offer` cannot be read")

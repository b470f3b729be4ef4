package compare

import (
	"reflect"
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// bound is whom a change of the referral concerns: what was promised with a binding stays.
const bound = "members who are bound from now on"

// declared are the event types that stand in the campaign's text: those of levels and
// referrals come with them.
func declared(list []campaign.EventType) []campaign.EventType {
	return slices.DeleteFunc(slices.Clone(list), func(e campaign.EventType) bool {
		return e.Name == campaign.EventLevelChanged || campaign.IsReferralEvent(e.Name)
	})
}

// written are the journeys that do.
func written(def *campaign.Definition) (out []campaign.Journey) {
	for i := range def.Journeys {
		if j := &def.Journeys[i]; def.Written(j) {
			out = append(out, *j)
		}
	}
	return out
}

func (d *differ) referral(from, to *campaign.Referral) {
	const name = "referral"
	switch {
	case from == nil && to == nil:
	case from == nil:
		d.add(Change{Path: name, Change: Added, Where: name, Concerns: bound})
	case to == nil:
		d.add(Change{Path: name, Change: Removed, Where: name, Concerns: "nobody is bound from now on; who is keeps her referral"})
	default:
		d.struc(name, name, reflect.ValueOf(*from), reflect.ValueOf(*to), bound)
	}
}

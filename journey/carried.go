package journey

import (
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// A journey that was brought to another version may have brought along what that waits for
// nothing of: an offer that is open or was withdrawn, a place in a team that is paid for, and
// orders that may still go back. What a turn is fed is therefore not for the version's steps
// alone to say.

// What a state has brought along, in bits. The types of refunds follow, in the order of
// campaign.RefundEvents.
const (
	carriesOffers = 1 << iota // orders for them are judged, taken or not
	carriesTeam
	carriesRefunds

	refundTypes = 2
	carriesAll  = carriesRefunds<<refundTypes - 1
)

// carries says what a state needs to hear of, whatever its version does.
func (s *State) carries() (bits int) {
	if len(s.Open)+len(s.Closed)+len(s.stands()) > 0 {
		bits |= carriesOffers
	}
	if s.buys() {
		bits |= carriesTeam
	}
	for i, name := range campaign.RefundEvents() {
		if slices.Contains(s.Refunds, name) {
			bits |= carriesRefunds << i
		}
	}
	return bits
}

// feeds lists, by what a state carries, the types of events that a turn is fed: sorted, and
// the very same list wherever nothing is added, so that those who need the same are asked
// for together.
func feeds(types []string) (fed [carriesAll + 1][]string) {
	for bits := range fed {
		list := slices.Clone(types)
		if bits&carriesOffers != 0 {
			list = append(list, campaign.EventOrderPaid, campaign.EventOfferReserved, campaign.EventReviewDecided)
		}
		if bits&carriesTeam != 0 {
			list = append(list, campaign.EventTeamFormed)
		}
		for i, name := range campaign.RefundEvents() {
			if bits&(carriesRefunds<<i) != 0 {
				list = append(list, name)
			}
		}
		slices.Sort(list)
		list = slices.Compact(list)
		same := slices.IndexFunc(fed[:bits], func(other []string) bool { return slices.Equal(other, list) })
		switch {
		case slices.Equal(list, types):
			list = types
		case same >= 0:
			list = fed[same]
		}
		fed[bits] = list
	}
	return fed
}

// NeedsIn is Needs of a turn of a journey that stands in a state.
func (p *Program) NeedsIn(journey string, s *State) (types []string, behaviours []campaign.Behaviour, err error) {
	pl, err := p.plan(journey)
	if err != nil {
		return nil, nil, err
	}
	return pl.fed[s.carries()], pl.needs, nil
}

// hearsRefunds reports whether refunds mean anything to the journey.
func (r *runner) hearsRefunds() bool { return len(r.pl.refunds)+len(r.s.Refunds) > 0 }

// isRefund reports whether events of a type are refunds of which the journey hears.
func (r *runner) isRefund(name string) bool {
	return slices.Contains(r.pl.refunds, name) || slices.Contains(r.s.Refunds, name)
}

// refundsBroughtTo lists the refunds that the journey hears of and another version does not
// name. They are heard of as long as an order that it knows, or one for an offer that is open,
// may go back.
func (r *runner) refundsBroughtTo(other *plan) (types []string) {
	if len(r.s.Orders)+len(r.s.stands()) == 0 {
		return nil
	}
	for _, name := range campaign.RefundEvents() {
		if r.isRefund(name) && !slices.Contains(other.refunds, name) {
			types = append(types, name)
		}
	}
	return types
}

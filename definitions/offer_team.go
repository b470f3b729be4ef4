package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var (
	offerTeamShape     = shape{what: "a team of buyers", keys: []string{"size", "within"}, never: inventions}
	offerTeamStepShape = shape{what: "the teams of an offer", keys: []string{"join", "announce", "remind"}, never: inventions}
)

// inventions are keys by which somebody may ask that a team be called complete with members
// who are none. What they are called in other places is refused by the same reason, so that
// nobody looks for the word that works.
var inventions = refusedKeys((*checker).invented,
	"fill", "fill_up", "auto_fill", "autofill", "top_up", "auto_form", "auto_complete", "always_form", "always_forms", "form_anyway", "complete_anyway",
	"robots", "bots", "virtual", "virtual_members", "virtual_buyers", "fake", "fake_members", "fake_buyers", "simulated", "simulated_members", "invented_members", "shills",
	"自动成团", "模拟成团", "虚拟成团", "虚拟成员", "机器人", "凑团", "自动凑单",
)

// invented refuses a key that would fill a team up with members who are none.
func (c *checker) invented(at node) {
	c.problem(at, "invented-members", fmt.Sprintf("%q asks that a team be complete with members who are none", shorten(at.path.last())),
		"leave it out, and write a smaller `size` or a longer `within`: who is told of buyers that do not exist is deceived, which Article 17 of China's E-Commerce Law forbids (invented transactions); no version of Banyan will do it")
}

// offerTeam reads how members buy an offer together.
func (c *checker) offerTeam(v node) *campaign.OfferTeam {
	const form = "write {size: 3, within: 24h}"
	t := &campaign.OfferTeam{}
	if !v.isMapping() {
		c.wrongType(v, form)
		return t
	}
	o, ok := c.object(v, offerTeamShape)
	if n, has := o.get("size"); has {
		t.Size = c.teamSize(n)
	} else if ok {
		c.missing(o, v, "this team", "size", form)
	}
	if n, has := o.get("within"); has {
		t.Within, _ = c.duration(n)
	} else if ok {
		c.missing(o, v, "this team", "within", "write how long a team has to come together, such as `within: 24h`")
	}
	return t
}

// buyTogether reads what a step that opens an offer says of its teams. known is false where
// nobody knows what offer it is.
func (c *checker) buyTogether(s *stepForm, step *campaign.MakeOffer, offer *campaign.Offer, known bool) {
	if offer == nil || offer.Team == nil {
		for _, key := range []string{"team", "failed"} {
			f, has := s.field(key)
			switch {
			case has && !known:
				c.opaque = true
			case has && offer != nil:
				c.problem(f.key, "offer-without-team", fmt.Sprintf("offer %q has no team: everybody buys it for herself", step.Offer),
					fmt.Sprintf("give the offer a `team: {size: 3, within: 24h}`, or leave %q out", key))
			}
		}
		return
	}
	step.Team = &campaign.OfferTeamStep{}
	var o object
	if v, has := s.get("team"); has && !v.isMapping() {
		c.wrongType(v, "write {join: event.team, announce: MESSAGE, remind: {before: 2h, send: MESSAGE}}")
	} else if has {
		o, _ = c.object(v, offerTeamStepShape)
	}
	order, _ := c.def.Event(campaign.EventOrderPaid)
	if v, has := o.get("join"); has {
		step.Team.Join = s.condition(c, v, rules.WantType(campaign.TypeString), func() rules.Scope { return s.journey.listening(campaign.EventOrderPaid) })
	} else if p, has := propertyOf(order, "team"); has && p.Type == campaign.TypeString {
		step.Team.Join = "event.team"
	} else {
		c.warn(s.self.key, "team-never", "nobody can join: everybody opens a team of her own, and none is ever complete",
			"let the order say which team its member wants to join, `order.paid: {…, team: string}`, or write where the code stands: `team: {join: start.team}`")
	}
	if v, has := o.get("announce"); has {
		step.Team.Announce = c.message(v, step.Via)
	}
	if v, has := o.get("remind"); has {
		own := s.self.reminders
		step.Team.Remind = c.reminders(s.self, v, "a team's time", offer.Team.Within, step.Via)
		s.self.reminders = own
	}
	step.Failed = s.blockOf(c, "failed")
	c.teamEvent()
	c.refundEvent(s.self.key)
}

func propertyOf(e *campaign.EventType, name string) (campaign.Property, bool) {
	if e == nil {
		return campaign.Property{}, false
	}
	return e.Property(name)
}

// teamEvent refuses, once, that a campaign gives an event of its own the name by which
// Banyan tells that a team is complete.
func (c *checker) teamEvent() {
	if at, declared := c.declared.events.at[campaign.WordTeamFormed]; declared && !c.teamSeen {
		c.problem(at, "team-event", fmt.Sprintf("%s is what Banyan itself tells when a team is complete", campaign.WordTeamFormed),
			"give your event another name; a test of a team tells of `"+campaign.WordTeamFormed+"` without a declaration")
	}
	c.teamSeen = true
}

// refundEvent makes sure, once, that a shop can tell that it has paid an order back.
func (c *checker) refundEvent(at node) {
	if c.refundSeen {
		return
	}
	c.refundSeen = true
	const form = "add under `events:` the line `order.refunded: {order: string}`"
	c.declared.events.use(campaign.EventOrderRefunded)
	e, ok := c.def.Event(campaign.EventOrderRefunded)
	if !ok {
		c.problem(at, "refund-event", "the shop tells by the event order.refunded that it has paid back an order whose team was not complete, and the campaign does not declare it", form)
		return
	}
	if p, ok := e.Property(campaign.PropertyOrder); !ok || p.Type != campaign.TypeString {
		c.problem(c.declared.events.at[e.Name], "refund-event", "the event order.refunded does not say which order is paid back: it lacks `order: string`",
			"write `order.refunded: {order: string}`, and what else it carries")
	}
}

package definitions

import (
	"fmt"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

var makeOfferShape = shape{
	what:  "an offer step",
	keys:  []string{"offer", "announce", "remind", "via", "team", "taken", "failed", "lapsed"},
	never: inventions,
}

// lockedKeys mean something only for an offer that ends.
var lockedKeys = []string{"remind", "taken", "lapsed"}

func (c *checker) makeOffer(s *stepForm) campaign.Step {
	step := &campaign.MakeOffer{StepCommon: s.common, Via: c.via(s.object)}
	var known bool
	step.Offer, known = c.refer(s.value, "offer", &c.declared.offers)
	offer, _ := c.def.Offer(step.Offer)
	if known && offer != nil && offer.Lock == 0 && !c.lockIsBad(step.Offer) {
		for _, key := range lockedKeys {
			if f, ok := s.field(key); ok {
				c.problem(f.key, "offer-without-lock", fmt.Sprintf("offer %q has no lock, so it never ends and the journey goes on at once", step.Offer),
					fmt.Sprintf("give the offer a `lock: 48h`, or leave %q out", key))
			}
		}
	}
	if v, ok := s.get("announce"); ok {
		step.Announce = c.message(v, step.Via)
		s.self.offers = append(s.self.offers, offerUse{node: v, message: step.Announce})
	}
	if v, ok := s.get("remind"); ok {
		var lock time.Duration
		if offer != nil {
			lock = offer.Lock
		}
		step.Remind = c.reminders(s.self, v, "a lock", lock, step.Via)
		for i, r := range step.Remind {
			s.self.offers = append(s.self.offers, offerUse{node: s.self.reminders[i], message: r.Send})
		}
	}
	step.Taken = s.blockOf(c, "taken")
	step.Lapsed = s.blockOf(c, "lapsed")
	c.buyTogether(s, step, offer, known)
	c.orderEvent(s.self.key)
	return step
}

// lockIsBad reports an offer whose lock is there but could not be read.
func (c *checker) lockIsBad(offer string) bool { return c.badLocks[offer] }

var reminderShape = shape{what: "a reminder", keys: []string{"before", "send"}}

// reminders reads the messages before the end of what lasts so long, an offer's lock for
// instance: one mapping or a list. A span of 0 is not known.
func (c *checker) reminders(self *stepNode, n node, what string, span time.Duration, via []string) []campaign.Reminder {
	var out []campaign.Reminder
	seen := map[time.Duration]bool{}
	for _, item := range c.items(n) {
		o, ok := c.object(item, reminderShape)
		if !ok {
			continue
		}
		var r campaign.Reminder
		if v, ok := o.get("before"); ok {
			r.Before, ok = c.duration(v)
			switch {
			case !ok:
			case span > 0 && r.Before >= span:
				c.warn(v, "reminder-never", fmt.Sprintf("%s before the end of %s of %s is never", campaign.FormatDuration(r.Before), what, campaign.FormatDuration(span)),
					fmt.Sprintf("a reminder comes less than the %s before its end; what is sent at the beginning is `announce`", strings.TrimPrefix(what, "a ")))
			case seen[r.Before]:
				c.problem(v, "duplicate-reminder", fmt.Sprintf("two reminders come %s before the end", campaign.FormatDuration(r.Before)), "write each moment once")
			}
			seen[r.Before] = true
		} else {
			c.missing(o, item, "this reminder", "before", "write {before: 24h, send: MESSAGE}")
		}
		if v, ok := o.get("send"); ok {
			r.Send = c.message(v, via)
		} else {
			c.missing(o, item, "this reminder", "send", "write {before: 24h, send: MESSAGE}")
		}
		out = append(out, r)
		self.reminders = append(self.reminders, item)
	}
	return out
}

// orderProperties are what an order.paid must carry for an offer to be taken by it.
var orderProperties = []campaign.Property{
	{Name: campaign.PropertyOrder, Type: campaign.TypeString},
	{Name: campaign.PropertyOffer, Type: campaign.TypeString},
	{Name: campaign.PropertyAmount, Type: campaign.TypeMoney},
}

// orderEvent makes sure, once, that an offer can be taken at all.
func (c *checker) orderEvent(at node) {
	if c.orderSeen {
		return
	}
	c.orderSeen = true
	const form = "add under `events:` the line `order.paid: {order: string, offer: string, amount: money}`"
	c.declared.events.use(campaign.EventOrderPaid)
	e, ok := c.def.Event(campaign.EventOrderPaid)
	if !ok {
		c.problem(at, "order-event", "an offer is taken by the event order.paid, and the campaign does not declare it", form)
		return
	}
	var lacks []string
	for _, want := range orderProperties {
		if p, ok := e.Property(want.Name); !ok || p.Type != want.Type {
			lacks = append(lacks, fmt.Sprintf("`%s: %s`", want.Name, want.Type))
		}
	}
	if len(lacks) > 0 {
		c.problem(c.declared.events.at[e.Name], "order-event",
			"an offer is taken by the event order.paid, which lacks "+list(lacks),
			"write `order.paid: {order: string, offer: string, amount: money}`, and what else it carries")
	}
}

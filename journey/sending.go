package journey

import (
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// quietMargin is how long before quiet hours a reminder is sent that they would push
// past its offer's end. Temporal's timers may run a second late, so the very last
// moment would be too late.
const quietMargin = time.Minute

// send hands a message out now, or says no for good; false means that it has to wait
// and p.Due says until when.
func (r *runner) send(p *Pending) bool {
	m := r.p.messages[p.Message]
	switch {
	case m == nil:
		r.fault = campaign.Errorf(campaign.CodeInternal, "campaign %s has no message %s", r.p.def.Name, p.Message)
		return false
	case r.s.Holdout:
		r.notSent(p, campaign.ReasonHoldout)
		return true
	case !p.Before.IsZero() && r.now.After(p.Before):
		r.notSent(p, p.tooLate())
		return true
	}
	at, why := r.allowed(m)
	if at.After(r.now) {
		switch {
		case why == campaign.ReasonCap && (m.WhenCapped == campaign.CappedDrop || r.p.def.Limits.MessagesPerMember.Every == 0):
			r.notSent(p, why) // a cap without a span never frees
			return true
		case !p.Before.IsZero() && !at.Before(p.Before):
			r.notSent(p, why, "detail", p.endsFirst())
			return true
		}
		p.Due = at
		if p.Why != why {
			p.Why = why
			r.traceAt(p.Step, campaign.TraceDelayed, "message", p.Message, "reason", why, "until", r.p.local(at))
		}
		return false
	}
	if p.Team != "" && !r.lookAtTeam(p) {
		return r.asked == nil && r.fault == nil
	}
	via := p.Via
	if len(via) == 0 {
		via = r.in.Via
	}
	effect := campaign.SendEffect{Key: p.Key, Step: p.Step, Message: p.Message, Kind: m.Kind, At: r.now, Deadline: p.Before}
	for _, channel := range via {
		t := m.texts[channel]
		if t == nil {
			t = m.texts[campaign.ChannelFamily(channel)]
		}
		if t == nil {
			t = m.text
		}
		if t == nil {
			continue
		}
		known := r.withOffer(r.s.Event, r.offerOf(p))
		wording := campaign.ChannelBody{Channel: channel}
		var err error
		if wording.Body, err = t.Render(known); err == nil && m.subject != nil && hasSubject(channel) {
			wording.Subject, err = m.subject.Render(known)
		}
		if err != nil {
			r.notSent(p, campaign.ReasonRender, "detail", err.Error())
			return true
		}
		effect.Bodies = append(effect.Bodies, wording)
	}
	if len(effect.Bodies) == 0 {
		r.notSent(p, campaign.ReasonRender, "detail", "no wording for channel "+joined(via))
		return true
	}
	r.d.Sends = append(r.d.Sends, effect)
	if m.Kind != campaign.KindService {
		r.sent = append(r.sent, r.now)
	}
	r.traceAt(p.Step, campaign.TraceSend, "message", p.Message, "channel", effect.Bodies[0].Channel)
	return true
}

// tooLate is why a message is of no use any more.
func (p *Pending) tooLate() string {
	if p.Team != "" {
		return campaign.ReasonTeamEnded
	}
	return campaign.ReasonOfferEnded
}

func (p *Pending) endsFirst() string {
	if p.Team != "" {
		return "the team's time ends first"
	}
	return "the offer ends first"
}

func hasSubject(channel string) bool {
	traits, _ := campaign.ChannelByName(channel)
	return traits.Subject
}

// offerOf finds the offer that a message is about; for others the one opened last.
func (r *runner) offerOf(p *Pending) *Offer {
	for i := range r.s.Open {
		if r.s.Open[i].ID == p.Offer {
			return &r.s.Open[i]
		}
	}
	return r.s.Offer
}

func (r *runner) notSent(p *Pending, why string, more ...string) {
	r.traceAt(p.Step, campaign.TraceNotSent, append([]string{"message", p.Message, "reason", why}, more...)...)
}

// firePending tries a waiting message again.
func (r *runner) firePending(i int) {
	p := r.s.Pending[i]
	before := len(r.d.Sends)
	done := r.send(&p)
	if r.fault != nil {
		return
	}
	if !done {
		r.s.Pending[i] = p
		return
	}
	r.s.Pending = append(r.s.Pending[:i], r.s.Pending[i+1:]...)
	switch {
	case r.s.Ending != "" && len(r.s.Pending) == 0 && !r.ordered():
		r.over(r.s.Ending)
	case p.Blocks && r.s.Ending == "" && r.s.Step == p.Step && r.s.Visit == p.Visit:
		r.since(p.Due, 0)
		r.move(r.pl.nodes[p.Step].next)
	case r.s.Waiting && r.s.Ending == "" && r.s.Step == p.Step && r.s.Visit == p.Visit && r.s.Deadline.IsZero():
		if s, ok := r.pl.nodes[p.Step].step.(*campaign.AskQuestion); ok {
			r.questionOut(r.pl.nodes[p.Step], s, p.Due, len(r.d.Sends) > before)
		}
	}
}

func (r *runner) dropPending(why string) {
	for i := range r.s.Pending {
		r.notSent(&r.s.Pending[i], why)
	}
	r.s.Pending = nil
}

// allowed is the first moment from now at which a message may go out, and what
// forbids it until then.
func (r *runner) allowed(m *message) (at time.Time, why string) {
	at = r.now
	for {
		if _, end, quiet := r.quietAt(at); quiet && r.respectsQuiet(m.Name) {
			at, why = end, campaign.ReasonQuietHours
			continue
		}
		if free := r.capFree(at); m.Kind != campaign.KindService && free.After(at) {
			if at, why = free, campaign.ReasonCap; r.p.def.Limits.MessagesPerMember.Every == 0 {
				return at, why
			}
			continue
		}
		return at, why
	}
}

// respectsQuiet reports whether quiet hours hold for a message: they do for every
// kind. A service message passes caps, not the night.
func (r *runner) respectsQuiet(string) bool { return r.p.def.Limits.QuietHours != nil }

// quietAt finds the quiet hours around a moment, in the campaign's timezone.
func (r *runner) quietAt(t time.Time) (start, end time.Time, quiet bool) {
	q := r.p.def.Limits.QuietHours
	if q == nil || q.From == q.Until {
		return time.Time{}, time.Time{}, false
	}
	local := t.In(r.p.loc)
	y, mo, d := local.Date()
	clock := func(day, minutes int) time.Time {
		return time.Date(y, mo, d+day, minutes/60, minutes%60, 0, 0, r.p.loc)
	}
	for day := -1; day <= 0; day++ {
		start, end = clock(day, q.From), clock(day, q.Until)
		if q.From > q.Until {
			end = clock(day+1, q.Until)
		}
		if !t.Before(start) && t.Before(end) {
			return start, end, true
		}
	}
	return time.Time{}, time.Time{}, false
}

// capFree is the first moment from t at which the cap leaves room for one message.
func (r *runner) capFree(t time.Time) time.Time {
	limit := r.p.def.Limits.MessagesPerMember
	if limit == nil || limit.Times <= 0 {
		return t
	}
	// Full while limit.Times messages lie in (t-every, t]; it frees when the oldest of
	// the newest limit.Times falls out.
	if len(r.sent) < limit.Times {
		return t
	}
	if limit.Every == 0 {
		return t.Add(time.Nanosecond)
	}
	oldest := r.sent[len(r.sent)-limit.Times]
	if free := oldest.Add(limit.Every); free.After(t) {
		return free
	}
	return t
}

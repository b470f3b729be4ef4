package turn

import (
	"context"
	"fmt"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/fraud"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
)

// Binding is a member who comes with somebody's code.
type Binding struct {
	Code    string // as it is kept
	Invitee string
	Marks   store.ReferralMarks
	Facts   fraud.Facts // what the caller knows of her; the rest is found out
	// Click reads the signed click that led her here, as of a moment of the campaign's clock,
	// if it is not older than a span; nil: there was none.
	Click func(now time.Time, within time.Duration) (Click, error)
}

// Click is what a signed click says.
type Click struct{ Campaign, Code, Channel string }

// RefusedBindingError is a binding that is not made, and why: Reason is for programs.
type RefusedBindingError struct {
	Reason  string
	message string
}

// Error says why.
func (e *RefusedBindingError) Error() string { return e.message }

// Reasons for which a binding is not made.
const (
	BindSelf        = "self_referral"
	BindCircle      = "circle"
	BindBound       = "already_bound"
	BindClosed      = "code_closed"
	BindEnded       = "campaign_closed"
	BindInviter     = "inviter_not_eligible"
	BindInvitee     = "invitee_not_eligible"
	BindFraud       = "fraud"
	BindAttribution = "attribution_of_another"
)

func refuse(reason, format string, args ...any) error {
	return &RefusedBindingError{reason, fmt.Sprintf(format, args...)}
}

// Bind binds a member to the inviter whose code she brings, once for each campaign, and lets
// her in where her journeys begin with that. The same code again is answered as it stands.
func (t *Taker) Bind(ctx context.Context, tx *store.ReferralTx, b *Binding) (*store.Referral, error) {
	c, code := tx.Campaign, &tx.Code
	if tx.Bound != nil {
		if tx.Bound.Code != "" {
			return tx.Bound, nil
		}
		return nil, refuse(BindBound, "this member was brought by somebody else already in campaign %s", c.Name)
	}
	if !code.Open {
		return nil, refuse(BindClosed, "this code is closed")
	}
	p, err := t.Programs.Program(ctx, tx, c.Digest)
	if err != nil {
		return nil, err
	}
	if p.Definition().Referral == nil || !p.Definition().Window.Contains(c.Now) || !c.TakesEntrants() {
		return nil, refuse(BindEnded, "campaign %s takes nobody now: it is %s, or its window is over", c.Name, c.State)
	}
	channel := ""
	if b.Click != nil {
		click, err := b.Click(c.Now, p.Definition().Referral.Attribution)
		switch {
		case err != nil:
			return nil, err
		case click.Campaign != c.Name || click.Code != code.Code:
			return nil, refuse(BindAttribution, "the attribution is of another code than the one that was given")
		}
		channel = click.Channel
	}
	if code.Member == b.Invitee {
		return nil, refuse(BindSelf, "nobody brings herself")
	}
	chain, err := tx.Chain(ctx, b.Invitee, code.Member)
	if err != nil {
		return nil, err
	}
	for i, m := range chain {
		if m == b.Invitee {
			return nil, refuse(BindCircle, "these invitations would make a circle of %d: the member has brought her inviter, directly or through others", i+2)
		}
	}
	inviter, invitee := tx.Entrant(code.Member), tx.Entrant(b.Invitee)
	for _, of := range []struct {
		who    *store.Entrant
		part   journey.ReferralPart
		reason string
	}{{inviter, journey.AsInviter, BindInviter}, {invitee, journey.AsInvitee, BindInvitee}} {
		if why, err := t.mayRefer(ctx, tx, p, of.who, of.part); err != nil {
			return nil, err
		} else if why != "" {
			return nil, refuse(of.reason, "the %s is not one of those whom campaign %s lets take part", of.part, c.Name)
		}
	}
	facts, verdict, err := t.judge(ctx, tx, p, b)
	if err != nil {
		return nil, err
	}
	out, event, err := tx.Bind(ctx, b.Invitee, channel, facts, verdict)
	if err != nil {
		return nil, err
	}
	// She is let in here and not by the router, so that no referral is ever without the
	// journey that follows it. The router finds her in already.
	invitee.LastEvent, invitee.Member.Inviter = event.Seq, code.Member
	var list []*attempt
	for _, candidate := range p.StartsOn(event.Type) {
		list = append(list, attemptAt(invitee, c, p, candidate, event.On(c.Clock)))
	}
	entries, err := decide(ctx, &tx.EntryTx, list)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if list[i].Journey == campaign.ReferralJourney && e.Row == 0 {
			return nil, campaign.Errorf(campaign.CodeInternal, "nobody follows the referral of campaign %s: %s", c.Name, e.Why)
		}
	}
	return out, nil
}

// Issue gives a member the code by which she brings others, if she may have one. A code that
// she has already is hers whatever has changed.
func (t *Taker) Issue(ctx context.Context, tx *store.ReferralTx, member string, draw func(length int) (string, error)) (*store.ReferralCode, error) {
	p, err := t.referrals(ctx, tx)
	if err != nil {
		return nil, err
	}
	c := tx.Campaign
	if tx.Code.ID == 0 {
		if !c.TakesEntrants() {
			return nil, refuse(BindEnded, "campaign %s gives no codes now: it is %s", c.Name, c.State)
		}
		why, err := t.mayRefer(ctx, tx, p, tx.Entrant(member), journey.AsInviter)
		if err != nil {
			return nil, err
		}
		if why != "" {
			return nil, refuse(BindInviter, "campaign %s lets others invite", c.Name)
		}
	}
	err = tx.Issue(ctx, member, func() (string, error) { return draw(p.Definition().Referral.CodeLength) })
	return &tx.Code, err
}

func (t *Taker) referrals(ctx context.Context, tx *store.ReferralTx) (*journey.Program, error) {
	p, err := t.Programs.Program(ctx, tx, tx.Campaign.Digest)
	if err != nil {
		return nil, err
	}
	if p.Definition().Referral == nil {
		return nil, campaign.Errorf(campaign.CodeNotFound, "campaign %s has no referrals", tx.Campaign.Name)
	}
	return p, nil
}

func (t *Taker) mayRefer(ctx context.Context, tx *store.ReferralTx, p *journey.Program, who *store.Entrant, part journey.ReferralPart) (string, error) {
	a := &store.Attempt{Entrant: who, Campaign: tx.Campaign.Name, Now: tx.Campaign.Now, Questions: p.ReferralNeeds(part)}
	if err := tx.Gather(ctx, []*store.Attempt{a}); err != nil {
		return "", err
	}
	return p.MayRefer(part, journey.Entrant{Member: &who.Member, Now: tx.Campaign.Now, Behaviour: a.Answers}), nil
}

// judge decides by the rules of fraud. What would be held where nobody is asked is refused.
// When the referral is to vest it is judged again, see store.
func (t *Taker) judge(ctx context.Context, tx *store.ReferralTx, p *journey.Program, b *Binding) (f fraud.Facts, v fraud.Verdict, err error) {
	rules := fraud.Of(&p.Definition().Referral.Fraud)
	if f, err = tx.Facts(ctx, rules, tx.Code.Member, b.Invitee); err != nil {
		return f, v, err
	}
	f.KnownPlace, f.MailDomain, f.PhonePrefix, f.Unverified, f.RequestAge = b.Facts.KnownPlace, b.Facts.MailDomain, b.Facts.PhonePrefix, b.Facts.Unverified, b.Facts.RequestAge
	v = fraud.Judge(rules, f)
	if v.Rejected() || v.Held() && p.Definition().Referral.Fraud.Review == nil {
		return f, v, refuse(BindFraud, "%s", v.Words(campaign.English))
	}
	return f, v, nil
}

package journey

import (
	"slices"
	"strconv"

	"github.com/banyanhq/banyan/campaign"
)

const maxSummary = 360

// describe fills in what the outside may know of the state: where the journey stands,
// what it waits for and until when, and which events concern it. It names offers,
// steps and times, never the member.
func (r *runner) describe() {
	// Temporal keeps summaries of at most 400 bytes, their JSON quotes included.
	defer func() { r.d.Summary = campaign.Shorten(r.d.Summary, maxSummary) }()
	if n := r.pl.nodes[r.s.Step]; n != nil {
		r.d.StepName = n.name
	}
	r.d.WaitUntil = r.nextDue()
	r.d.Listens = r.listens()
	switch {
	case r.s.Outcome != "":
		r.d.StepName = "ended"
		r.d.Summary = r.s.Outcome
		r.d.WaitUntil = r.hearsUntil()
		return
	case r.s.Ending != "" && r.ordered():
		r.d.Summary = "waits for " + r.teamOfBuyers() + " before the journey ends as " + r.s.Ending
		return
	case r.s.Ending != "":
		r.d.Summary = "delayed messages go out before the journey ends as " + r.s.Ending
		return
	case !r.s.Waiting:
		return
	}
	switch s := r.pl.nodes[r.s.Step].step.(type) {
	case *campaign.Wait:
		r.d.Summary = "waits until " + r.p.local(r.s.Deadline)
	case *campaign.Repeat:
		r.d.Summary = "next round at " + r.p.local(r.s.Deadline)
	case *campaign.Await:
		r.d.Summary = "waits for " + joined(s.Events) + " until " + r.p.local(r.s.Deadline)
	case *campaign.MakeOffer:
		title := s.Offer
		if def, ok := r.p.def.Offer(s.Offer); ok && def.Title != "" {
			title = def.Title
		}
		r.d.Summary = title + " locked until " + r.p.local(r.s.Offer.ExpiresAt)
		if until := r.s.Offer.heldFor(); !until.IsZero() {
			r.d.Summary += ", and for an order until " + r.p.local(until)
		}
		if r.ordered() {
			r.d.Summary = title + " paid, waits for " + r.teamOfBuyers()
		}
	case *campaign.AskQuestion:
		r.d.Summary = "waits for a reply to " + s.Message + " until " + r.p.local(r.s.Deadline)
		if r.s.Deadline.IsZero() {
			r.d.Summary = "the question " + s.Message + " waits until " + r.p.local(r.nextDue())
		}
	case *campaign.OpenReview:
		r.d.Summary = "waits for " + r.askedRole(s) + " to decide until " + r.p.local(r.s.Review.due())
	case *campaign.FormTeam:
		r.d.Summary = "waits for a team of " + strconv.Itoa(r.s.Team.Size) + " until " + r.p.local(r.s.Team.EndsAt)
	case *campaign.CallService:
		r.d.Summary = "waits for " + s.Name() + " to answer until " + r.p.local(r.s.Deadline)
	case *campaign.Send:
		for _, p := range r.s.Pending {
			if p.Blocks {
				r.d.Summary = "message " + p.Message + " waits until " + r.p.local(p.Due)
			}
		}
	case *campaign.FollowReferral:
		r.d.StepName, r.d.Summary = r.referralSummary()
	case *campaign.Choose, *campaign.Split, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.Goto,
		*campaign.End: // never wait
	}
}

// usualTypes is to how many types of events most journeys listen at most.
const usualTypes = 4

// listens names the event types for which the journey wants to be woken.
func (r *runner) listens() []string {
	types := make([]string, 0, usualTypes)
	if len(r.s.Open) > 0 || len(r.s.Closed) > 0 {
		types = append(types, campaign.EventOrderPaid)
	}
	if len(r.s.Open) > 0 {
		types = append(types, campaign.EventOfferReserved)
	}
	if r.hasDoubts() {
		types = append(types, campaign.EventReviewDecided)
	}
	if r.mayBePaid() || r.mayGoBack() {
		types = append(append(types, r.pl.refunds...), r.s.Refunds...)
	}
	for _, m := range r.s.Missed {
		n := r.pl.nodes[m.Step]
		if n == nil {
			continue
		}
		switch s := n.step.(type) {
		case *campaign.Await:
			types = append(types, s.Events...)
		case *campaign.AskQuestion:
			types = append(types, campaign.EventReply)
		case *campaign.FollowReferral:
			types = append(types, r.p.def.Referral.Qualifies.Event)
		case *campaign.Send, *campaign.Wait, *campaign.MakeOffer, *campaign.Choose, *campaign.Split, *campaign.Repeat, *campaign.Tag, *campaign.Untag,
			*campaign.Set, *campaign.Grant, *campaign.OpenReview, *campaign.FormTeam, *campaign.CallService, *campaign.Goto, *campaign.End: // are never missed
		}
	}
	if r.pl.Goal != nil && !r.s.Goal {
		types = append(types, r.pl.Goal.Event)
	}
	if r.ordered() {
		types = append(types, campaign.EventOrderPaid, campaign.EventTeamFormed)
	}
	if r.s.Outcome == "" {
		if r.pl.Exit != nil {
			types = append(types, r.pl.Exit.Event)
		}
		if r.s.Waiting && r.s.Ending == "" {
			switch s := r.pl.nodes[r.s.Step].step.(type) {
			case *campaign.Await:
				types = append(types, s.Events...)
			case *campaign.MakeOffer:
				types = append(types, campaign.EventOrderPaid, campaign.EventOfferReserved)
			case *campaign.AskQuestion:
				if !r.s.Deadline.IsZero() && r.s.Asked.Put {
					types = append(types, campaign.EventReply)
				}
			case *campaign.OpenReview:
				types = append(types, campaign.EventReviewDecided)
			case *campaign.FormTeam:
				if !r.s.Holdout {
					types = append(types, campaign.EventTeamFormed)
				}
			case *campaign.CallService:
				types = append(types, campaign.EventCallAnswered)
			case *campaign.FollowReferral:
				types = append(types, r.listensReferral()...)
			case *campaign.Send, *campaign.Wait, *campaign.Choose, *campaign.Split, *campaign.Repeat, *campaign.Tag,
				*campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.Goto, *campaign.End: // wait for no event
			}
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
)

type reviewsCommand struct {
	List    listReviewsCommand   `cmd:"" help:"List what waits for a person to decide."`
	Show    showReviewCommand    `cmd:"" help:"Show one review."`
	Claim   claimReviewCommand   `cmd:"" help:"Take a review in hand; nobody else can decide it then."`
	Release releaseReviewCommand `cmd:"" help:"Give a claimed review back."`
	Approve approveReviewCommand `cmd:"" help:"Approve, for good."`
	Reject  rejectReviewCommand  `cmd:"" help:"Reject, for good."`
}

type listReviewsCommand struct {
	State    string `help:"open, approved, rejected, withdrawn or all." enum:"open,approved,rejected,withdrawn,all" default:"open"`
	Campaign string `help:"Of this campaign alone."`
	Role     string `help:"Those for which this role is asked now."`
	Kind     string `help:"decision, or the reason for which a payment is looked at." placeholder:"KIND"`
}

// Run lists reviews, page after page.
func (c *listReviewsCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {"1000"}}
	for name, value := range map[string]string{"state": strings.TrimSuffix(c.State, "all"), "campaign": c.Campaign, "role": c.Role, "kind": c.Kind} {
		if value != "" {
			query.Set(name, value)
		}
	}
	reviews := []starter.ReviewAnswer{}
	for {
		var page starter.ReviewList
		if err := api.get(ctx, "/v1/reviews?"+query.Encode(), &page); err != nil {
			return err
		}
		reviews = append(reviews, page.Reviews...)
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	return output(e, g, reviews, func(p *printer) {
		for i := range reviews {
			p.line("%s", reviewLine(&reviews[i]))
		}
		if len(reviews) == 0 {
			p.line("nothing waits for a decision")
		}
	})
}

// reviewLine tells a review in one line.
func reviewLine(r *starter.ReviewAnswer) string {
	parts := []string{r.ID, string(r.State), r.Campaign + "/" + r.Journey, "member " + r.Member, about(r)}
	switch {
	case r.State != campaign.ReviewOpen:
		parts = append(parts, decidedBy(r))
	case r.ClosesAt != nil:
		parts = append(parts, fmt.Sprintf("%s until %s", orNobody(r.Asked), until(r).Format(time.RFC3339)))
	}
	if r.State == campaign.ReviewOpen && r.ClaimedBy != "" {
		parts = append(parts, "claimed by "+r.ClaimedBy)
	}
	return strings.Join(parts, "  ")
}

// about is what is to be decided.
func about(r *starter.ReviewAnswer) string {
	if r.Kind == campaign.ReviewDecide {
		if r.About != "" {
			return r.About
		}
		return "step " + r.Step
	}
	words := []string{strings.ReplaceAll(string(r.Kind), "_", " ") + ":"}
	for _, name := range slices.Sorted(maps.Keys(r.Detail)) {
		words = append(words, name+" "+r.Detail[name])
	}
	return strings.Join(words, " ")
}

// until is when the one who is asked now is asked no more.
func until(r *starter.ReviewAnswer) time.Time {
	if r.EscalatesAt != nil && r.Asked == r.Role {
		return *r.EscalatesAt
	}
	return *r.ClosesAt
}

func orNobody(role string) string {
	if role == "" {
		return "nobody any more"
	}
	return "ask " + role
}

func decidedBy(r *starter.ReviewAnswer) string {
	by := r.DecidedBy
	if by == "" {
		by = "nobody"
	}
	out := "by " + by
	if r.DecidedAt != nil {
		out += " at " + r.DecidedAt.Format(time.RFC3339)
	}
	if r.Reason != "" {
		out += ": " + r.Reason
	}
	return out
}

// ReviewArg names a review.
type ReviewArg struct {
	Review int64 `arg:"" help:"The review's number, as the list shows it."`
}

func (a ReviewArg) path(rest string) string { return fmt.Sprintf("/v1/reviews/%d%s", a.Review, rest) }

type showReviewCommand struct{ ReviewArg }

// Run shows a review.
func (c *showReviewCommand) Run(ctx context.Context, e *env, g *Globals) error {
	return c.call(ctx, e, g, http.MethodGet, "", nil, func(p *printer, r *starter.ReviewAnswer) {
		for _, line := range []struct{ name, text string }{
			{"review", r.ID + ", " + string(r.State)},
			{"about", about(r)},
			{"campaign", fmt.Sprintf("%s, version %d", r.Campaign, r.Version)},
			{"journey", r.Journey + ", step " + r.Step},
			{"member", r.Member},
			{"role", r.Role},
			{"backup", r.Backup},
			{"asked now", r.Asked},
			{"opened", r.OpenedAt.Format(time.RFC3339)},
			{"backup from", moment(r.EscalatesAt)},
			{"closes", moment(r.ClosesAt)},
			{"otherwise", string(r.Otherwise)},
			{"claimed by", r.ClaimedBy},
			{"offer", r.Offer},
			{"event", r.Event},
		} {
			if line.text != "" {
				p.line("%-12s %s", line.name, line.text)
			}
		}
		if r.State != campaign.ReviewOpen {
			p.line("%-12s %s", string(r.State), decidedBy(r))
		}
	})
}

func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339)
}

// As says who is acting.
type As struct {
	As string `help:"Your id, as it is to stand in the member's story; the key's name unless told." env:"BANYAN_REVIEWER" placeholder:"ID"`
}

type claimReviewCommand struct {
	ReviewArg
	As
}

// Run takes a review in hand.
func (c *claimReviewCommand) Run(ctx context.Context, e *env, g *Globals) error {
	return c.call(ctx, e, g, http.MethodPost, "/claim", starter.ClaimRequest{Reviewer: c.As.As}, func(p *printer, r *starter.ReviewAnswer) {
		p.line("review %s is claimed by %s", r.ID, r.ClaimedBy)
	})
}

type releaseReviewCommand struct{ ReviewArg }

// Run gives a review back.
func (c *releaseReviewCommand) Run(ctx context.Context, e *env, g *Globals) error {
	return c.call(ctx, e, g, http.MethodDelete, "/claim", nil, func(p *printer, r *starter.ReviewAnswer) {
		p.line("review %s is free", r.ID)
	})
}

type approveReviewCommand struct {
	ReviewArg
	As
	Reason string `help:"Why, in words." required:"" placeholder:"TEXT"`
}

// Run approves.
func (c *approveReviewCommand) Run(ctx context.Context, e *env, g *Globals) error {
	return c.decide(ctx, e, g, starter.DecisionRequest{Decision: campaign.Approve, Reason: c.Reason, Reviewer: c.As.As})
}

type rejectReviewCommand struct {
	ReviewArg
	As
	Reason string `help:"Why, in words." required:"" placeholder:"TEXT"`
}

// Run rejects.
func (c *rejectReviewCommand) Run(ctx context.Context, e *env, g *Globals) error {
	return c.decide(ctx, e, g, starter.DecisionRequest{Decision: campaign.Reject, Reason: c.Reason, Reviewer: c.As.As})
}

func (a ReviewArg) decide(ctx context.Context, e *env, g *Globals, request starter.DecisionRequest) error {
	return a.call(ctx, e, g, http.MethodPost, "/decision", request, func(p *printer, r *starter.ReviewAnswer) {
		p.line("review %s is %s %s", r.ID, r.State, decidedBy(r))
	})
}

// call makes a call about the review and says what became of it.
func (a ReviewArg) call(ctx context.Context, e *env, g *Globals, method, path string, body any, words func(*printer, *starter.ReviewAnswer)) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	api.repeats = rand.Text() // a decision whose answer was lost is not a second one
	var r starter.ReviewAnswer
	switch method {
	case http.MethodPost:
		err = api.post(ctx, a.path(path), body, &r)
	default:
		err = api.call(ctx, method, a.path(path), "", nil, &r)
	}
	if err != nil {
		return err
	}
	return output(e, g, r, func(p *printer) { words(p, &r) })
}

package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/banyanhq/banyan/starter"
)

type referralsCommand struct {
	List    listReferralsCommand `cmd:"" help:"List who brought whom."`
	Leaders leadersCommand       `cmd:"" help:"Rank inviters by how many of their referrals are vested."`
	Code    referralCodeCommand  `cmd:"" help:"Give a member the code by which she brings others, or show it."`
	Bind    bindCommand          `cmd:"" help:"Bind a member to the inviter whose code she brings."`
	Close   closeCodeCommand     `cmd:"" help:"Let nobody be bound by a code any more."`
}

// ReferralCampaignArg names a campaign with referrals.
type ReferralCampaignArg struct {
	Campaign string `arg:"" help:"The campaign's name."`
}

func (a ReferralCampaignArg) path(rest string) string {
	return "/v1/campaigns/" + url.PathEscape(a.Campaign) + "/referrals" + rest
}

type listReferralsCommand struct {
	ReferralCampaignArg
	State   string `help:"bound, qualified, vested, rejected, expired, clawed-back or all." enum:"bound,qualified,vested,rejected,expired,clawed-back,all" default:"all"`
	Inviter string `help:"Those of this member alone."`
}

// Run lists referrals, page after page.
func (c *listReferralsCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {"1000"}}
	for name, value := range map[string]string{"state": strings.TrimSuffix(c.State, "all"), "inviter": c.Inviter} {
		if value != "" {
			query.Set(name, value)
		}
	}
	referrals := []starter.ReferralAnswer{}
	for {
		var page starter.ReferralList
		if err := api.get(ctx, c.path("?"+query.Encode()), &page); err != nil {
			return err
		}
		referrals = append(referrals, page.Referrals...)
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	return output(e, g, referrals, func(p *printer) {
		for i := range referrals {
			p.line("%s", referralLine(&referrals[i]))
		}
		if len(referrals) == 0 {
			p.line("nobody brought anybody")
		}
	})
}

// referralLine tells a referral in one line.
func referralLine(r *starter.ReferralAnswer) string {
	parts := []string{r.Referral, string(r.State), r.Inviter + " brought " + r.Invitee, "bound " + r.BoundAt.Format(time.RFC3339)}
	if r.Order != "" {
		parts = append(parts, "order "+r.Order)
	}
	if r.Success > 0 {
		parts = append(parts, fmt.Sprintf("success %d", r.Success))
	}
	for _, side := range []struct{ who, reward string }{{"inviter", r.InviterReward}, {"invitee", r.InviteeReward}} {
		if side.reward != "" {
			parts = append(parts, side.who+" got "+side.reward)
		}
	}
	if r.Reason != "" {
		parts = append(parts, r.Reason)
	}
	if r.Held {
		parts = append(parts, "held: "+strings.Join(r.Reasons, "; "))
	}
	return strings.Join(parts, "  ")
}

type leadersCommand struct {
	ReferralCampaignArg
	Since string `help:"Those who were bound since then, such as 2026-12-01T00:00:00+08:00." placeholder:"TIME"`
	Most  int    `help:"How many at most." default:"20"`
}

// Run ranks inviters.
func (c *leadersCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {fmt.Sprint(c.Most)}}
	if c.Since != "" {
		query.Set("since", c.Since)
	}
	var list starter.LeaderList
	if err := api.get(ctx, c.path("/leaderboard?"+query.Encode()), &list); err != nil {
		return err
	}
	return output(e, g, list, func(p *printer) {
		for _, l := range list.Leaders {
			p.line("%d.  %s  %d vested, %d rewarded, of %d who qualified and %d who came", l.Rank, l.Inviter, l.Vested, l.Rewarded, l.Qualified, l.Bound)
		}
		if len(list.Leaders) == 0 {
			p.line("nobody brought anybody")
		}
	})
}

type referralCodeCommand struct {
	ReferralCampaignArg
	Member string `arg:"" help:"The member's id."`
}

// Run shows a member's code.
func (c *referralCodeCommand) Run(ctx context.Context, e *env, g *Globals) error {
	return showCode(ctx, e, g, c.path("/codes"), starter.ReferralCodeRequest{Member: c.Member})
}

type closeCodeCommand struct {
	ReferralCampaignArg
	Code string `arg:"" help:"The code."`
}

// Run closes a code.
func (c *closeCodeCommand) Run(ctx context.Context, e *env, g *Globals) error {
	return showCode(ctx, e, g, c.path("/codes/"+url.PathEscape(c.Code)+"/close"), nil)
}

func showCode(ctx context.Context, e *env, g *Globals, path string, body any) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	var code starter.ReferralCodeAnswer
	if err := api.post(ctx, path, body, &code); err != nil {
		return err
	}
	return output(e, g, code, func(p *printer) {
		p.line("%s  %s  of %s, %d clicks", code.Shown, code.State, code.Member, code.Clicks)
		if code.ShortLink != "" {
			p.line("%s", code.ShortLink)
		}
	})
}

type bindCommand struct {
	Code   string `arg:"" help:"The inviter's code."`
	Member string `arg:"" help:"Who was invited."`
}

// Run binds a member.
func (c *bindCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	var r starter.ReferralAnswer
	if err := api.post(ctx, "/v1/referrals", starter.BindRequest{Code: c.Code, Member: c.Member}, &r); err != nil {
		return err
	}
	return output(e, g, r, func(p *printer) { p.line("%s", referralLine(&r)) })
}

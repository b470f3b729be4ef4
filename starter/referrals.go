package starter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/attribution"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/codes"
	"github.com/banyanhq/banyan/fraud"
	"github.com/banyanhq/banyan/poster"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// Referrals gives members codes and binds those who come with one.
type Referrals interface {
	Bind(ctx context.Context, b *turn.Binding) (*store.Referral, error)
	Issue(ctx context.Context, campaign, member string, marks store.ReferralMarks) (store.ReferralCode, error)
}

// The router is what binds.
var _ Referrals = (*Router)(nil)

// ReferralCodeRequest asks for a member's code. What is told of her beside her id is kept as
// a keyed hash, to compare it with that of whom she brings.
type ReferralCodeRequest struct {
	Member  string `json:"member" minLength:"1" maxLength:"128"`
	Device  string `json:"device,omitempty" maxLength:"256" doc:"Your own id of her device"`
	IP      string `json:"ip,omitempty" maxLength:"64" doc:"Her address on the network"`
	Phone   string `json:"phone,omitempty" maxLength:"64"`
	Payment string `json:"payment,omitempty" maxLength:"256" doc:"Your own id of the account with which she pays"`
}

// ReferralCodeAnswer is the code by which a member brings others.
type ReferralCodeAnswer struct {
	Code      string     `json:"code" doc:"The same for ever, for this member in this campaign"`
	Shown     string     `json:"shown" doc:"The code as people read and type it best"`
	Campaign  string     `json:"campaign"`
	Member    string     `json:"member"`
	State     string     `json:"state" enum:"open,closed"`
	ShortLink string     `json:"short_link,omitempty" doc:"Where to lead friends; none where the campaign or the server has no link"`
	Poster    string     `json:"poster,omitempty" doc:"The path of her poster, for this server and this key"`
	Clicks    int64      `json:"clicks"`
	CreatedAt time.Time  `json:"created_at"`
	ClosedAt  *time.Time `json:"closed_at,omitempty"`
}

// BindRequest brings a member together with the code that she was given.
type BindRequest struct {
	Code        string `json:"code" minLength:"1" maxLength:"1024" doc:"As she typed it: small letters, blanks and hyphens do not matter"`
	Member      string `json:"member" minLength:"1" maxLength:"128" doc:"Who was invited"`
	Attribution string `json:"attribution,omitempty" maxLength:"1024" doc:"The parameter banyan_ref of the page on which she landed"`
	Device      string `json:"device,omitempty" maxLength:"256" doc:"Your own id of her device"`
	IP          string `json:"ip,omitempty" maxLength:"64" doc:"Her address on the network, not your server's"`
	Phone       string `json:"phone,omitempty" maxLength:"64"`
	Payment     string `json:"payment,omitempty" maxLength:"256" doc:"Your own id of the account with which she pays"`
	Mail        string `json:"mail,omitempty" maxLength:"254" doc:"Its domain alone is looked at, and kept only where it is one to throw away"`
	Verified    *bool  `json:"verified,omitempty" doc:"Whether a phone or a platform's account of hers was verified; leave it out where you do not know"`
	KnownPlace  bool   `json:"known_place,omitempty" doc:"The device or network is your own, such as the tablet at the desk"`
	Request     string `json:"request,omitempty" maxLength:"256" doc:"Her client's own id of the request, which nobody uses for another member"`
	RequestedAt string `json:"requested_at,omitempty" maxLength:"64" doc:"When her client made it"`
}

// ReferralAnswer is who brought whom, as it stands. Times are on the campaign's clock.
type ReferralAnswer struct {
	Referral      string                 `json:"referral"`
	Campaign      string                 `json:"campaign"`
	Code          string                 `json:"code"`
	Inviter       string                 `json:"inviter"`
	Invitee       string                 `json:"invitee"`
	Channel       string                 `json:"channel,omitempty"`
	State         campaign.ReferralState `json:"state" enum:"bound,qualified,vested,rejected,expired,clawed-back"`
	Held          bool                   `json:"held,omitempty" doc:"A person is to decide before anything is given"`
	Score         int                    `json:"score,omitempty" doc:"Of the rules of fraud"`
	Reasons       []string               `json:"reasons,omitempty" doc:"What those found"`
	BoundAt       time.Time              `json:"bound_at"`
	QualifiedAt   *time.Time             `json:"qualified_at,omitempty"`
	ClosedAt      *time.Time             `json:"closed_at,omitempty" doc:"When it vested, was rejected or expired"`
	ClawedBackAt  *time.Time             `json:"clawed_back_at,omitempty"`
	Order         string                 `json:"order,omitempty" doc:"That qualified"`
	Reason        string                 `json:"reason,omitempty" doc:"Why it was rejected: refunded, reviewed, fraud or campaign_ended"`
	Success       int                    `json:"success,omitempty" doc:"Which success of the inviter it is"`
	InviterReward string                 `json:"inviter_reward,omitempty" doc:"That was given"`
	InviteeReward string                 `json:"invitee_reward,omitempty" doc:"That was given"`
}

// ReferralList is a page of a campaign's referrals.
type ReferralList struct {
	Referrals []ReferralAnswer `json:"referrals"`
	Next      string           `json:"next,omitempty" doc:"Pass as after for the rest"`
}

// LeaderAnswer is an inviter's place.
type LeaderAnswer struct {
	Rank      int64  `json:"rank" doc:"Inviters with as many vested referrals have the same"`
	Inviter   string `json:"inviter"`
	Bound     int64  `json:"bound"`
	Qualified int64  `json:"qualified" doc:"Ever, whatever became of it"`
	Vested    int64  `json:"vested"`
	Rewarded  int64  `json:"rewarded"`
}

// LeaderList is the leaderboard of inviters.
type LeaderList struct {
	Leaders []LeaderAnswer `json:"leaders"`
}

// ReferralCodePath names a code of a campaign.
type ReferralCodePath struct {
	CampaignPath
	Code string `path:"code" maxLength:"160" doc:"The code"`
}

const tagReferrals = "referrals"

func (s *Server) registerReferrals() {
	const path = "/v1/campaigns/{campaign}/referrals"
	handle(s, operation{
		id: "give-referral-code", method: http.MethodPost, path: path + "/codes", tag: tagReferrals, scope: store.ScopeReferralsWrite,
		summary: "The code by which a member brings others", status: http.StatusCreated,
		detail: "It is made once for each member and campaign; again is answered the same. 409 says why she may have none.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, s.giveCode)
	for _, to := range []struct {
		verb, summary string
		open          bool
	}{{"close", "Let nobody be bound by a code any more", false}, {"open", "Let members be bound by a code again", true}} {
		handle(s, operation{
			id: to.verb + "-referral-code", method: http.MethodPost, path: path + "/codes/{code}/" + to.verb, tag: tagReferrals, scope: store.ScopeReferralsWrite,
			summary: to.summary, detail: "Who is bound stays so.", errors: []int{http.StatusNotFound},
		}, func(ctx context.Context, in *ReferralCodePath) (*answer[ReferralCodeAnswer], error) {
			code, err := codes.Normalize(in.Code)
			if err != nil {
				return nil, campaign.Errorf(campaign.CodeNotFound, "there is no such code: %s", err)
			}
			c, err := s.store.SwitchReferralCode(ctx, in.Campaign, code, to.open)
			if err != nil {
				return nil, err
			}
			return s.codeAnswer(ctx, &c)
		})
	}
	handle(s, operation{
		id: "get-referral-poster", method: http.MethodGet, path: path + "/codes/{code}/poster.png", tag: tagReferrals, scope: store.ScopeMembersRead,
		summary: "A poster with the QR code of a member's short link, as PNG", errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.referralPoster)
	handle(s, operation{
		id: "bind-referral", method: http.MethodPost, path: "/v1/referrals", tag: tagReferrals, scope: store.ScopeReferralsWrite,
		summary: "Bind a member to the inviter whose code she brings", status: http.StatusCreated, adds: true,
		detail: "Once for each campaign; the same code again is answered as it stands. 409 says why not, by a name under errors[].check: self_referral, circle, already_bound, " +
			"code_closed, campaign_closed, inviter_not_eligible, invitee_not_eligible, fraud, attribution_of_another, attribution_expired. Ten wrong codes within a quarter of an hour " +
			"lock out the member and the device for as long: 429.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, s.bind)
	handle(s, operation{
		id: "list-referrals", method: http.MethodGet, path: path, tag: tagReferrals, scope: store.ScopeMembersRead,
		summary: "Who brought whom, the newest first", errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, s.listReferrals)
	handle(s, operation{
		id: "rank-inviters", method: http.MethodGet, path: path + "/leaderboard", tag: tagReferrals, scope: store.ScopeMembersRead,
		summary: "Inviters by how many of their referrals are vested", errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, s.leaders)
	s.mux.HandleFunc("GET "+ReferralPath+"{code}", s.follow)
}

var errNoReferrals = campaign.Errorf(campaign.CodeUnavailable, "this server binds nobody")

func (s *Server) giveCode(ctx context.Context, in *struct {
	CampaignPath
	Body ReferralCodeRequest
},
) (*answer[ReferralCodeAnswer], error) {
	if s.cfg.Referrals == nil {
		return nil, errNoReferrals
	}
	b := in.Body
	marks, wrong := marksOf(b.Member, b.Device, b.IP, b.Phone, b.Payment, "")
	if len(wrong) > 0 {
		return nil, problem(http.StatusUnprocessableEntity, "no code can be given for this", wrong...)
	}
	c, err := s.cfg.Referrals.Issue(ctx, in.Campaign, b.Member, marks)
	if err != nil {
		return nil, bindingProblem(err)
	}
	return s.codeAnswer(ctx, &c)
}

// marksOf checks what is told of somebody. No message quotes it.
func marksOf(member, device, ip, phone, payment, request string) (m store.ReferralMarks, wrong []ProblemDetail) {
	add := func(field, message, hint string) {
		wrong = append(wrong, ProblemDetail{Path: field, Message: message, Hint: hint})
	}
	if why := checkID(member); why != "" {
		add("member", "the member's id cannot be used: "+why, "")
	}
	for _, f := range []struct{ name, value string }{{"device", device}, {"payment", payment}, {"request", request}} {
		if strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' }) || checkText([]byte(f.value)) != nil {
			add(f.name, "it holds a control character, or is no text", "")
		}
	}
	m.Device, m.Payment, m.Request = device, payment, request
	if ip != "" {
		var err error
		if m.Address, err = netip.ParseAddr(ip); err != nil {
			add("ip", "this is no address", "write one such as 203.0.113.7 or 2001:db8::1, or leave it out")
		}
	}
	if phone != "" {
		var why string
		if m.Phone, why = campaign.ParseAddress(campaign.IdentityPhone, phone); why != "" {
			add("phone", "this is no phone number", why)
		}
	}
	return m, wrong
}

// codeAnswer tells of a code, with where it leads.
func (s *Server) codeAnswer(ctx context.Context, c *store.ReferralCode) (*answer[ReferralCodeAnswer], error) {
	state := "closed"
	if c.Open {
		state = "open"
	}
	out := ReferralCodeAnswer{
		Code: c.Code, Shown: codes.Grouped(c.Code), Campaign: c.Campaign, Member: c.Member, State: state, Clicks: c.Clicks, CreatedAt: c.CreatedAt, ClosedAt: orNil(c.ClosedAt),
	}
	def, err := s.store.CampaignDefinition(ctx, c.Campaign)
	if err != nil {
		return nil, err
	}
	if s.cfg.ReferralLinks.leads(def.Referral) {
		out.ShortLink = s.cfg.ReferralLinks.short(c.Code)
		out.Poster = "/v1/campaigns/" + url.PathEscape(c.Campaign) + "/referrals/codes/" + c.Code + "/poster.png"
	}
	return &answer[ReferralCodeAnswer]{out}, nil
}

func (s *Server) bind(ctx context.Context, in *struct{ Body BindRequest }) (*answer[ReferralAnswer], error) {
	if s.cfg.Referrals == nil {
		return nil, errNoReferrals
	}
	b := in.Body
	marks, wrong := marksOf(b.Member, b.Device, b.IP, b.Phone, b.Payment, b.Request)
	facts := fraud.Facts{KnownPlace: b.KnownPlace, Unverified: b.Verified != nil && !*b.Verified}
	if marks.Phone != "" {
		facts.PhonePrefix = strings.TrimPrefix(strings.TrimPrefix(marks.Phone, "+86"), "+")
		facts.PhonePrefix = facts.PhonePrefix[:min(3, len(facts.PhonePrefix))]
	}
	if b.Mail != "" {
		address, why := campaign.ParseAddress(campaign.IdentityMail, b.Mail)
		if why != "" {
			wrong = append(wrong, ProblemDetail{Path: "mail", Message: "this is no mail address", Hint: why})
		}
		facts.MailDomain = address[strings.LastIndexByte(address, '@')+1:]
	}
	if b.RequestedAt != "" {
		at, err := time.Parse(time.RFC3339, b.RequestedAt)
		if err != nil {
			wrong = append(wrong, ProblemDetail{Path: "requested_at", Message: "this is no time", Hint: `write one such as "2026-12-01T20:00:00+08:00"`})
		}
		facts.RequestAge = time.Since(at)
	}
	if len(wrong) > 0 {
		return nil, problem(http.StatusUnprocessableEntity, "nobody can be bound by this", wrong...)
	}
	code, err := codes.Normalize(b.Code)
	if err != nil { // it cannot be one, but it was a guess all the same
		if missed := s.store.MissedCode(ctx, b.Member, marks); campaign.CodeOf(missed) != campaign.CodeNotFound {
			return nil, missed
		}
		return nil, campaign.Errorf(campaign.CodeNotFound, "there is no such code: %s", err)
	}
	binding := &turn.Binding{Code: code, Invitee: b.Member, Marks: marks, Facts: facts}
	if b.Attribution != "" {
		binding.Click = s.clicked(b.Attribution)
	}
	r, err := s.cfg.Referrals.Bind(ctx, binding)
	if err != nil {
		return nil, bindingProblem(err)
	}
	return &answer[ReferralAnswer]{referralAnswer(r)}, nil
}

// clicked reads a signed click.
func (s *Server) clicked(token string) func(time.Time, time.Duration) (turn.Click, error) {
	return func(now time.Time, within time.Duration) (turn.Click, error) {
		claim, err := attribution.Verifier{Keys: s.cfg.ReferralLinks.Keys, MaxAge: within}.Verify(token, now)
		switch {
		case errors.Is(err, attribution.ErrExpired):
			return turn.Click{}, problem(http.StatusConflict, err.Error(), ProblemDetail{
				Path: "attribution", Check: "attribution_expired", Message: err.Error(),
				Hint: "leave it out to bind by the code alone",
			})
		case err != nil:
			return turn.Click{}, problem(http.StatusUnprocessableEntity, "nobody can be bound by this", ProblemDetail{
				Path: "attribution", Message: err.Error(),
				Hint: "pass on the parameter banyan_ref as the page got it, or leave it out",
			})
		}
		return turn.Click{Campaign: claim.Campaign, Code: claim.Inviter, Channel: claim.Channel}, nil
	}
}

// bindingProblem tells why somebody was not bound.
func bindingProblem(err error) error {
	var refused *turn.RefusedBindingError
	if !errors.As(err, &refused) {
		return err
	}
	return problem(http.StatusConflict, refused.Error(), ProblemDetail{Path: "code", Check: refused.Reason, Message: refused.Error()})
}

func referralAnswer(r *store.Referral) ReferralAnswer {
	out := ReferralAnswer{
		Referral: strconv.FormatInt(r.ID, 10), Campaign: r.Campaign, Code: r.Code, Inviter: r.Inviter, Invitee: r.Invitee, Channel: r.Channel, State: r.State,
		Held: r.Held, Score: r.Verdict.Score, BoundAt: r.BoundAt, QualifiedAt: orNil(r.QualifiedAt), ClosedAt: orNil(r.ClosedAt), ClawedBackAt: orNil(r.ClawedBackAt),
		Order: r.Order, Reason: r.Reason, Success: r.Success, InviterReward: r.InviterReward, InviteeReward: r.InviteeReward,
	}
	for _, reason := range r.Verdict.Reasons {
		out.Reasons = append(out.Reasons, reason.Words(campaign.English))
	}
	return out
}

func (s *Server) listReferrals(ctx context.Context, in *struct {
	CampaignPath
	Page
	State   campaign.ReferralState `query:"state" enum:"bound,qualified,vested,rejected,expired,clawed-back"`
	Inviter string                 `query:"inviter" maxLength:"128" doc:"Those of one inviter"`
},
) (*answer[ReferralList], error) {
	before, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	if in.Inviter != "" && checkID(in.Inviter) != "" {
		return nil, campaign.Errorf(campaign.CodeInvalid, "the inviter's id cannot be used: %s", checkID(in.Inviter))
	}
	if _, err := s.store.CampaignDefinition(ctx, in.Campaign); err != nil {
		return nil, err
	}
	list, err := s.store.Referrals(ctx, in.Campaign, store.ReferralFilter{State: in.State, Inviter: in.Inviter}, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	part, next := cut(list, in.Limit, func(r store.Referral) string { return strconv.FormatInt(r.ID, 10) })
	out := ReferralList{Referrals: make([]ReferralAnswer, len(part)), Next: next}
	for i := range part {
		out.Referrals[i] = referralAnswer(&part[i])
	}
	return &answer[ReferralList]{out}, nil
}

func (s *Server) leaders(ctx context.Context, in *struct {
	CampaignPath
	Since string `query:"since" maxLength:"64" doc:"Those who were bound since then; from the beginning unless told"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most"`
},
) (*answer[LeaderList], error) {
	since := time.Unix(0, 0)
	if in.Since != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, in.Since); err != nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "since is no time; write one such as 2026-12-01T00:00:00+08:00")
		}
	}
	if _, err := s.store.CampaignDefinition(ctx, in.Campaign); err != nil {
		return nil, err
	}
	list, err := s.store.ReferralLeaders(ctx, in.Campaign, since, in.Limit)
	if err != nil {
		return nil, err
	}
	out := LeaderList{Leaders: make([]LeaderAnswer, len(list))}
	for i, l := range list {
		out.Leaders[i] = LeaderAnswer(l)
	}
	return &answer[LeaderList]{out}, nil
}

// PosterAnswer is a picture.
type PosterAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) referralPoster(ctx context.Context, in *ReferralCodePath) (*PosterAnswer, error) {
	text, err := codes.Normalize(in.Code)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeNotFound, "there is no such code: %s", err)
	}
	c, err := s.store.ReferralCode(ctx, text)
	if err == nil && c.Campaign != in.Campaign {
		err = campaign.Errorf(campaign.CodeNotFound, "campaign %s has no such code", in.Campaign)
	}
	if err != nil {
		return nil, err
	}
	def, err := s.store.CampaignDefinition(ctx, c.Campaign)
	if err != nil {
		return nil, err
	}
	if !s.cfg.ReferralLinks.leads(def.Referral) {
		return nil, campaign.Errorf(campaign.CodeConflict, "there is nothing to lead to: give the campaign's referral a link to a host of BANYAN_REFERRAL_HOSTS, and the server a BANYAN_PUBLIC_URL")
	}
	picture, err := poster.PNG(poster.Content{
		Inviter: "朋友邀请你", Title: def.Title, Lines: posterLines(def), Link: s.cfg.ReferralLinks.short(c.Code) + "?channel=poster", Code: codes.Grouped(c.Code), Hint: "长按识别二维码",
	})
	if err != nil {
		return nil, fmt.Errorf("draw a poster: %w", err)
	}
	return &PosterAnswer{"image/png", picture}, nil
}

// posterLines say what the invitee gets.
func posterLines(def *campaign.Definition) (lines []string) {
	r := def.Referral
	if reward, ok := def.Reward(r.Invitee); ok {
		lines = append(lines, "新朋友得"+posterGift(reward))
	}
	return append(lines, "活动规则以商家公示为准")
}

// posterGift says what a reward gives.
func posterGift(w *campaign.Reward) string {
	switch gift := w.Gift().(type) {
	case *campaign.Coupon:
		if gift.Value.IsZero() {
			return "优惠券"
		}
		return "优惠券 " + gift.Value.String()
	case *campaign.BenefitGrant:
		if gift.For == 0 {
			return "会员权益"
		}
		return "会员权益 " + campaign.FormatDuration(gift.For)
	}
	return fmt.Sprintf(" %d 积分", w.Gift().Worth())
}

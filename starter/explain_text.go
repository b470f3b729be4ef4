package starter

import (
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// storyWords are the few words of a story that do not come from the trace.
type storyWords struct {
	colon, semicolon string

	member, joined, source, inviter, tags                               string
	entry, version, underWay, ended, holdout, waits, none               string
	messages, offers, lockedUntil, nowCosts, grants, delivered, refused string
	coupons, benefits, until, lasts, over, order                        string

	ends string
}

var storyEnglish = storyWords{
	colon: ": ", semicolon: "; ",
	member: "member", joined: "joined", source: "source", inviter: "invited by", tags: "tags",
	entry: "entry", version: "version", underWay: "under way", ended: "ended", holdout: "holdout group", waits: "waits for",
	none: "nothing has happened yet", messages: "messages", offers: "offers", lockedUntil: "locked until",
	nowCosts: "costs now", grants: "points", delivered: "granted", refused: "NOT granted",
	coupons: "coupons", benefits: "benefits", until: "until", lasts: "lasts", over: "over", order: "order", ends: "ends",
}

var storyChinese = storyWords{
	colon: "：", semicolon: "；",
	member: "会员", joined: "加入", source: "来源", inviter: "邀请人", tags: "标签",
	entry: "第几次", version: "版本", underWay: "进行中", ended: "已结束", holdout: "对照组", waits: "等待",
	none: "还没有任何记录", messages: "消息", offers: "优惠", lockedUntil: "锁价至",
	nowCosts: "当前价格", grants: "积分", delivered: "已发放", refused: "未发放",
	coupons: "券", benefits: "权益", until: "至", lasts: "有效", over: "已失效", order: "订单", ends: "到期",
}

// WriteExplanation writes a member's story for people, every moment on the clock and in
// the timezone of its campaign.
func WriteExplanation(w io.Writer, e *Explanation, lang campaign.Lang) error {
	words := storyEnglish
	if lang == campaign.Chinese {
		words = storyChinese
	}
	t := &text{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	m := &e.Member
	about := []string{words.joined + " " + local(m.JoinedAt, zoneOf(e))}
	for _, part := range []struct{ name, value string }{
		{words.source, m.Source}, {words.inviter, m.Inviter}, {words.tags, strings.Join(m.Tags, ", ")},
	} {
		if part.value != "" {
			about = append(about, part.name+" "+part.value)
		}
	}
	t.line("%s %s%s%s", words.member, m.ID, words.colon, strings.Join(about, words.semicolon))
	if len(e.Journeys) == 0 {
		t.line("%s", words.none)
	}
	for i := range e.Journeys {
		t.story(&e.Journeys[i], &words, lang)
	}
	t.storyOffers(e, &words)
	t.storyPoints(e, &words, lang)
	t.storyPieces(e, &words)
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// zoneOf is the timezone for what belongs to no campaign.
func zoneOf(e *Explanation) string {
	if len(e.Journeys) == 0 {
		return ""
	}
	return e.Journeys[0].Timezone
}

func (t *text) story(j *ExplainedJourney, words *storyWords, lang campaign.Lang) {
	state := words.underWay
	if j.Status != "active" {
		state = words.ended + words.colon + j.Outcome
	}
	if j.Holdout {
		state += words.semicolon + words.holdout
	}
	t.line("")
	t.line("%s · %s · %s %d · %s %d · %s", j.Campaign, j.Journey, words.entry, j.Entry, words.version, j.Version, state)
	for _, l := range j.Lines {
		t.line("  %s\t%s\t%s", local(l.At, j.Timezone), l.Step, l.Words)
	}
	if j.Summary != "" {
		t.line("  → %s%s%s", words.waits, words.colon, j.Summary) // it says until when
	}
	if len(j.Messages) > 0 {
		t.line("  %s", words.messages)
	}
	for _, m := range j.Messages {
		why := ""
		if m.Reason != "" {
			// The sentence for a reason is the one of a message that was not sent.
			why = "\t" + campaign.TraceLine{Kind: campaign.TraceNotSent, Params: map[string]string{"message": m.Message, "reason": m.Reason}}.Words(lang)
		}
		t.line("  %s\t%s\t%s\t%s%s", local(m.At, j.Timezone), m.Message, m.Channel, m.State, why)
	}
}

func (t *text) storyOffers(e *Explanation, words *storyWords) {
	if len(e.Offers) == 0 {
		return
	}
	t.head(words.offers)
	for _, o := range e.Offers {
		lock := ""
		if o.ExpiresAt != nil {
			lock = "\t" + words.lockedUntil + " " + local(*o.ExpiresAt, zoneOf(e))
		}
		t.line("  %s\t%s\t%s\t%s %s %s%s", o.ID, o.Offer, o.State, words.nowCosts, o.Price.Amount, o.Price.Currency, lock)
	}
}

func (t *text) storyPieces(e *Explanation, words *storyWords) {
	if len(e.Coupons) > 0 {
		t.head(words.coupons)
	}
	until := func(at *time.Time) string {
		if at == nil {
			return ""
		}
		return "\t" + words.until + " " + local(*at, zoneOf(e))
	}
	for _, c := range e.Coupons {
		order := ""
		if c.Order != "" {
			order = "\t" + words.order + " " + c.Order
		}
		t.line("  %s\t%s\t%s%s%s", c.Code, c.Reward, c.State, until(c.EndsAt), order)
	}
	if len(e.Benefits) > 0 {
		t.head(words.benefits)
	}
	for _, b := range e.Benefits {
		state := words.over
		if b.Lasts {
			state = words.lasts
		}
		t.line("  %s\t%s%s", b.Benefit, state, until(b.Until))
	}
}

func (t *text) storyPoints(e *Explanation, words *storyWords, lang campaign.Lang) {
	if e.Points.Balance == 0 && len(e.Points.Grants)+len(e.Points.Gains) == 0 {
		return
	}
	t.line("")
	t.line("%s%s%d", words.grants, words.colon, e.Points.Balance)
	for _, g := range e.Points.Grants {
		what := words.delivered
		if g.State != "granted" {
			line := campaign.TraceLine{Kind: campaign.TraceNotGranted, Params: map[string]string{"reward": g.Reward, "reason": g.Reason}}
			what = line.Words(lang)
		}
		t.line("  %s\t%s\t%+d\t%s", local(g.At, zoneOf(e)), g.Reward, g.Points, what)
	}
	for _, g := range e.Points.Gains {
		got := campaign.TraceLine{Kind: campaign.TracePoints, Params: map[string]string{"rule": g.Rule, "points": strconv.FormatInt(g.Points, 10), "reason": g.Reason}}
		t.line("  %s\t%s\t%+d\t%s", local(g.At, zoneOf(e)), g.Rule, g.Points, got.Words(lang))
		if g.ReversedBy != "" {
			gone := campaign.TraceLine{Kind: campaign.TracePointsTaken, Params: map[string]string{"rule": g.Rule, "points": strconv.FormatInt(g.Reversed, 10)}}
			if g.Short > 0 {
				gone.Params["short"] = strconv.FormatInt(g.Short, 10)
			}
			t.line("  \t\t%+d\t%s", -g.Reversed, gone.Words(lang))
		}
	}
	for _, b := range e.Points.Batches {
		t.line("  %s\t%d\t%s", words.ends, b.Left, local(b.EndsAt, zoneOf(e)))
	}
}

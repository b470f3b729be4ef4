package definitions

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/fraud"
	"github.com/banyanhq/banyan/rules"
)

var (
	referralShape = shape{
		what: "a referral",
		keys: []string{
			"inviters", "invitees", "code", "link", "attribution", "qualifies", "hold", "claw_back", "rewards", "limit", "fraud",
		},
		never: map[string]func(*checker, node){
			"levels": (*checker).oneLevel, "level": (*checker).oneLevel, "depth": (*checker).oneLevel, "tiers": (*checker).oneLevel,
			"upline": (*checker).oneLevel, "downline": (*checker).oneLevel,
			"fee": (*checker).noFee, "price": (*checker).noFee, "deposit": (*checker).noFee,
		},
	}
	codeShape      = shape{what: "a code", keys: []string{"length"}}
	qualifiesShape = shape{what: "a qualification", keys: []string{"on", "when", "within", "grace"}}
	earnsShape     = shape{
		what: "the rewards of a referral", keys: []string{"inviter", "invitee"},
		never: map[string]func(*checker, node){
			"levels": (*checker).oneLevel, "grandparent": (*checker).oneLevel, "upline": (*checker).oneLevel, "second": (*checker).oneLevel,
			"share": (*checker).noShareReward, "sharer": (*checker).noShareReward,
		},
	}
	successShape  = shape{what: "a success", keys: []string{"from", "reward"}}
	fraudShape    = shape{what: "fraud", keys: []string{"hold", "reject", "review", "rules", "left", "mail_domains", "phone_prefixes"}}
	heldShape     = shape{what: "a review of referrals", keys: []string{"by", "for", "otherwise"}}
	suspectsShape = shape{what: "a rule of fraud", keys: []string{"score", "effect", "most", "within"}}
)

// Bounds of a referral's numbers and spans.
const (
	minCode, usualCode, maxCode = 8, 10, 16
	usualAttribution            = 7 * 24 * time.Hour
	usualClawBack               = 30 * 24 * time.Hour
	maxScore                    = 1000
	maxReferralSteps            = 20
	maxSuspects                 = 1_000_000
	maxSuspectSpan              = 400 * 24 * time.Hour
)

// oneLevel, noFee and noShare refuse what no campaign may ask for. There is no way to allow it.
func (c *checker) oneLevel(n node) {
	c.problem(n, "referral-levels", fmt.Sprintf("%q: rewards reach one level, the inviter of the one who qualified, and nobody above", n.path.last()),
		"remove it; paying several levels by who recruited whom is pyramid selling (《禁止传销条例》 art. 7, and WeChat's announcements on multi-level distribution of 2015-02 and 2016-09)")
}

func (c *checker) noFee(n node) {
	c.problem(n, "referral-fee", "nobody pays, and nobody has to buy, in order to be an inviter",
		"let everybody invite, or choose by what is no payment; an entry fee or a forced purchase makes it pyramid selling (《禁止传销条例》 art. 7)")
}

func (c *checker) noShareReward(n node) { c.noShare(n, n.path.last()) }

func (c *checker) noShare(n node, what string) {
	c.problem(n, "referral-share", fmt.Sprintf("%q is a share: a referral rewards a verified join or purchase, never that somebody shared, liked or helped", shorten(what)),
		"let it qualify by an event such as order.paid or member.verified; WeChat closes accounts that reward sharing (《微信外部链接内容管理规范》 1.2)")
}

// sharing are words of event types that tell of a share, and of what is rewarded instead of
// one: likes, help, bargaining.
var sharing = regexp.MustCompile(`(^|[._])(shar(e|es|ed|ing)|forward(s|ed|ing)?|repost(s|ed|ing)?|retweet(s|ed)?|moments?|lik(e|es|ed)|thumbs?_?up|click(s|ed)?|assist(s|ed)?|help(s|ed)?|bargain(s|ed|ing)?|boost(s|ed)?|fission|zhuanfa|dianzan|zhuli|kanjia|jizan)([._]|$)`)

// referral reads what members get who bring others.
func (c *checker) referral(top object) {
	for _, e := range c.def.Events {
		if campaign.IsReferralEvent(e.Name) {
			c.problem(c.declared.events.at[e.Name], "referral-event", e.Name+" is what Banyan itself tells of referrals",
				"give your event another name; a campaign with `referral:` hears it without a declaration")
		}
	}
	at, ok := top.get("referral")
	if !ok {
		return
	}
	c.referred = true
	for _, e := range campaign.ReferralEvents() {
		if _, declared := c.declared.events.at[e.Name]; !declared {
			c.def.Events = append(c.def.Events, e)
			c.declared.events.declare(e.Name, at)
		}
		c.declared.events.use(e.Name)
	}
	o, ok := c.object(at, referralShape)
	if !ok {
		return
	}
	r := &campaign.Referral{CodeLength: usualCode, Attribution: usualAttribution, ClawBack: usualClawBack}
	c.def.Referral = r
	if v, has := o.get("inviters"); has {
		r.Inviters = c.expression(v, rules.WantBool, rules.SegmentScope, func(x reads) { c.paysToInvite(v, x); c.constant(v, x) })
	}
	if v, has := o.get("invitees"); has {
		r.Invitees = c.expression(v, rules.WantBool, rules.SegmentScope, func(x reads) { c.constant(v, x) })
	}
	if v, has := o.get("code"); has {
		if f, ok := c.object(v, codeShape); ok {
			if v, has := f.get("length"); has {
				r.CodeLength = c.within(v, minCode, maxCode)
			}
		}
	}
	if v, has := o.get("link"); has {
		r.Link = c.landing(v)
	}
	for _, span := range []struct {
		key  string
		into *time.Duration
	}{{"attribution", &r.Attribution}, {"hold", &r.Hold}, {"claw_back", &r.ClawBack}} {
		if v, has := o.get(span.key); has {
			*span.into, _ = c.duration(v)
		}
	}
	if v, has := o.get("qualifies"); has {
		c.qualifies(v, r)
	} else {
		c.missing(o, at, "the referral", "qualifies", "write what a friend must do to count, such as `qualifies: {on: order.paid, within: 30d}`")
	}
	if v, has := o.get("rewards"); has {
		c.earns(v, r)
	} else {
		c.missing(o, at, "the referral", "rewards", "write who gets what: `rewards: {inviter: REWARD, invitee: REWARD}`")
	}
	if v, has := o.get("limit"); has {
		r.Limit, _ = c.times(v)
	}
	if v, has := o.get("fraud"); has {
		c.fraud(v, r)
	}
	if hold, has := o.get("claw_back"); has && !r.Refunds && r.Qualifies.Event != "" {
		c.problem(hold, "referral-refund", "nothing can be taken back: "+c.whyNoRefunds(r.Qualifies.Event), refundForm)
	}
}

// qualifies reads what an invitee must do.
func (c *checker) qualifies(n node, r *campaign.Referral) {
	const form = "write {on: order.paid, when: CEL, within: 30d}"
	if n.isScalar() {
		c.wrongType(n, form)
		return
	}
	o, ok := c.object(n, qualifiesShape)
	if !ok {
		return
	}
	q := &r.Qualifies
	q.Grace = campaign.DefaultGrace
	v, has := o.get("on")
	if !has {
		c.missing(o, n, "the qualification", "on", form)
		return
	}
	q.Event, ok = c.refer(v, "event", &c.declared.events)
	switch {
	case !ok:
	case sharing.MatchString(q.Event):
		c.noShare(v, q.Event)
	case campaign.IsReferralEvent(q.Event):
		c.oneLevel(v)
	}
	if w, has := o.get("within"); has {
		q.Within, _ = c.duration(w)
	} else {
		c.missing(o, n, "the qualification", "within", "every referral must end: write how long a friend has, such as `within: 30d`")
	}
	if g, has := o.get("grace"); has {
		q.Grace, _ = c.duration(g)
	}
	if w, has := o.get("when"); has && ok {
		event := q.Event
		q.When = c.expression(w, rules.WantBool, func() rules.Scope {
			return rules.Scope{Event: []string{event}, Start: []string{campaign.EventReferralBound}, HasStart: true, Budgets: true}
		}, func(x reads) { c.constant(w, x) })
	}
	if ok {
		if why := c.whyNoRefunds(q.Event); why == "" {
			r.Refunds = true
			for _, refund := range c.def.Refunds() {
				c.declared.events.use(refund)
			}
		} else if c.takesOrder(q.Event) {
			c.warn(v, "referral-refund", "a refund changes nothing: "+why, refundForm)
		}
	}
}

const refundForm = "declare `order.refunded: {order: string}`, and tell it: then a refund rejects the referral, or takes the rewards back"

func (c *checker) takesOrder(event string) bool {
	e, ok := c.def.Event(event)
	if !ok {
		return false
	}
	p, ok := e.Property(campaign.PropertyOrder)
	return ok && p.Type == campaign.TypeString
}

// whyNoRefunds says why a refund of what qualified cannot be heard; empty: it can.
func (c *checker) whyNoRefunds(event string) string {
	switch {
	case !c.takesOrder(event):
		return event + " names no order"
	case len(c.def.Refunds()) == 0:
		return "the campaign does not hear order.refunded with its order"
	}
	return ""
}

// landing reads where the short link of a code leads.
func (c *checker) landing(n node) string {
	const form = "write where a friend lands, such as https://shop.example/join"
	s, ok := c.text(n, form)
	if !ok {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(s) > maxURL || strings.ContainsAny(s, " \t\r\n{}") {
		c.problem(n, "referral-link", fmt.Sprintf("%q is no address to land on", shorten(s)), form+": https, a host, no name and password, nothing behind #")
		return ""
	}
	return s
}

// within reads a whole number between two bounds.
func (c *checker) within(n node, least, most int) int {
	form := fmt.Sprintf("write a whole number from %d to %d", least, most)
	s, ok := c.text(n, form)
	if !ok {
		return least
	}
	i, err := strconv.Atoi(s)
	if err != nil || i < least || i > most {
		c.problem(n, "bad-number", fmt.Sprintf("%q cannot be %q", shorten(n.path.last()), shorten(s)), form)
		return least
	}
	return i
}

// earns reads the rewards of both sides.
func (c *checker) earns(n node, r *campaign.Referral) {
	const form = "write {inviter: REWARD, invitee: REWARD}, or one of them"
	if n.isScalar() {
		c.wrongType(n, form)
		return
	}
	o, ok := c.object(n, earnsShape)
	if !ok {
		return
	}
	if len(o.yaml.Content) == 0 {
		c.problem(n, "missing-key", `"rewards" is empty`, form)
	}
	if v, has := o.get("invitee"); has {
		r.Invitee = c.earned(v, "how often it was granted to her")
	}
	v, has := o.get("inviter")
	switch {
	case !has:
	case v.isScalar():
		r.Inviter = []campaign.ReferralStep{{From: 1, Reward: c.earned(v, bySuccess)}}
	case v.isSequence() && len(v.yaml.Content) > 0 && len(v.yaml.Content) <= maxReferralSteps:
		r.Inviter = c.successes(v)
	default:
		c.wrongType(v, fmt.Sprintf("write the name of a reward, or 1 to %d steps: [{from: 1, reward: NAME}, {from: 5, reward: NAME}]", maxReferralSteps))
	}
}

const bySuccess = "the number of her successes"

// earned reads the reward of a side; by is what one in steps is measured by there.
func (c *checker) earned(n node, by string) string {
	name, ok := c.refer(n, "reward", &c.declared.rewards)
	if ok {
		c.notMeasured(n, name, by)
	}
	return name
}

// notMeasured refuses a reward in steps with an expression where they are measured by
// something else.
func (c *checker) notMeasured(n node, name, by string) {
	if w, ok := c.def.Reward(name); ok && w.Ladder != nil && w.Ladder.By() != "" {
		c.problem(n, "referral-steps", fmt.Sprintf("the steps of reward %q are measured by an expression, and here by %s", name, by),
			"name a reward whose `steps` have neither `count` nor `amount`")
	}
}

// successes reads rewards by the number of successes.
func (c *checker) successes(n node) (out []campaign.ReferralStep) {
	const form = "write {from: 5, reward: NAME}"
	for i, item := range c.items(n) {
		o, ok := c.object(item, successShape)
		if !ok {
			continue
		}
		var s campaign.ReferralStep
		if v, has := o.get("from"); has {
			from, good := c.count(v, maxCount)
			s.From = int(from)
			switch {
			case !good:
			case i == 0 && s.From != 1:
				c.problem(v, "referral-steps", "the first step does not begin with the first success", "write `from: 1`: whoever brings one friend has a success already")
			case i > 0 && len(out) > 0 && s.From <= out[len(out)-1].From:
				c.problem(v, "referral-steps", fmt.Sprintf("this step begins with success %d, not behind the one before it", s.From), "write the steps in the order of their numbers")
			}
		} else {
			c.missing(o, item, "this step", "from", form)
		}
		if v, has := o.get("reward"); has {
			s.Reward = c.earned(v, bySuccess)
		} else {
			c.missing(o, item, "this step", "reward", form)
		}
		out = append(out, s)
	}
	return out
}

// paysToInvite refuses a condition on inviters that asks what they have paid.
func (c *checker) paysToInvite(n node, x reads) {
	for _, b := range x.Behaviours() {
		if e, ok := c.def.Event(b.Event); b.Event == campaign.EventOrderPaid || ok && slices.ContainsFunc(e.Properties, isMoney) {
			c.noFee(n)
			return
		}
	}
	for _, p := range c.def.Member {
		if isMoney(p) && regexp.MustCompile(`\bmember\.`+p.Name+`\b`).MatchString(n.yaml.Value) {
			c.noFee(n)
			return
		}
	}
}

func isMoney(p campaign.Property) bool { return p.Type == campaign.TypeMoney }

// fraud reads what is suspicious, where it differs from what is taken for it anyway.
func (c *checker) fraud(n node, r *campaign.Referral) {
	o, ok := c.object(n, fraudShape)
	if !ok {
		return
	}
	f := &r.Fraud
	usual := fraud.Default()
	hold, reject := usual.HoldAt, usual.RejectAt
	if v, has := o.get("hold"); has {
		f.Hold = c.within(v, 1, maxScore)
		hold = f.Hold
	}
	if v, has := o.get("reject"); has {
		f.Reject = c.within(v, 1, maxScore)
		reject = f.Reject
	}
	if reject < hold {
		c.problem(n, "referral-fraud", fmt.Sprintf("what is rejected from %d on would be held first, from %d on", reject, hold), "let `reject` be more than `hold`")
	}
	if v, has := o.get("review"); has {
		f.Review = c.heldBy(v)
	}
	if v, has := o.get("rules"); has {
		c.suspects(v, f)
	}
	if v, has := o.get("left"); has {
		for _, item := range c.items(v) {
			event, ok := c.refer(item, "event", &c.declared.events)
			if ok && slices.Contains(f.Left, event) {
				c.problem(item, "duplicate-event", fmt.Sprintf("event %q stands twice", event), "each event is written once")
			}
			f.Left = append(f.Left, event)
		}
	}
	f.MailDomains = c.suspectTexts(o, "mail_domains", mailDomain, "a domain in lower case, such as mailinator.com")
	f.PhonePrefixes = c.suspectTexts(o, "phone_prefixes", phonePrefix, "the digits that numbers begin with, such as 170")
}

var (
	mailDomain  = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	phonePrefix = regexp.MustCompile(`^[0-9]{1,8}$`)
)

func (c *checker) suspectTexts(o object, key string, form *regexp.Regexp, what string) (out []string) {
	v, has := o.get(key)
	if !has {
		return nil
	}
	for _, item := range c.items(v) {
		s, ok := c.text(item, "write "+what)
		if ok && !form.MatchString(s) {
			c.problem(item, "referral-fraud", fmt.Sprintf("%q is not %s", shorten(s), what), "write "+what)
		}
		out = append(out, s)
	}
	return out
}

func (c *checker) heldBy(n node) *campaign.ReferralReview {
	const form = "write {by: ROLE, for: 48h, otherwise: reject}"
	o, ok := c.object(n, heldShape)
	if !ok {
		return nil
	}
	v := &campaign.ReferralReview{}
	if by, has := o.get("by"); has {
		v.By, _ = c.refer(by, "role", &c.declared.roles)
	} else {
		c.missing(o, n, "this review", "by", form+", and the role under `roles:`")
	}
	if span, has := o.get("for"); has {
		v.For, _ = c.duration(span)
	} else {
		c.missing(o, n, "this review", "for", form)
	}
	if otherwise, has := o.get("otherwise"); has {
		v.Otherwise, _ = oneOf(c, otherwise, campaign.Approve, campaign.Reject)
	} else {
		c.missing(o, n, "this review", "otherwise", form)
	}
	return v
}

// suspects reads the rules of fraud: each by its name, with a score or more. What is not
// told of a rule is as package fraud has it.
func (c *checker) suspects(n node, f *campaign.ReferralFraud) {
	all, ok := c.fields(n, "write a mapping from rules to their scores, such as {same-device: 60}")
	if !ok {
		return
	}
	known := make([]string, 0, len(fraud.Names()))
	for _, name := range fraud.Names() {
		known = append(known, string(name))
	}
	for _, field := range all {
		if !slices.Contains(known, field.name) {
			c.unknown(field.key, "unknown-fraud-rule", fmt.Sprintf("unknown rule of fraud %q", shorten(field.name)), field.name, known)
			continue
		}
		usual := fraud.Rules{}.Setting(fraud.Name(field.name))
		rule := campaign.FraudRule{Name: field.name, Effect: string(usual.Effect), Score: usual.Score, Most: usual.Most, Within: usual.Within}
		switch {
		case field.value.isScalar() && field.value.yaml.Value == "off":
			rule = campaign.FraudRule{Name: field.name, Off: true}
		case field.value.isScalar():
			rule.Score = c.within(field.value, 1, maxScore)
		default:
			c.suspect(field, usual, &rule)
		}
		f.Rules = append(f.Rules, rule)
	}
}

func (c *checker) suspect(at field, usual fraud.Setting, rule *campaign.FraudRule) {
	o, ok := c.object(at.value, suspectsShape)
	if !ok {
		return
	}
	if v, has := o.get("score"); has {
		rule.Score = c.within(v, 0, maxScore)
	}
	if v, has := o.get("effect"); has {
		effect, _ := oneOf(c, v, fraud.Allow, fraud.Hold, fraud.Reject)
		rule.Effect = string(effect)
	}
	if v, has := o.get("most"); has {
		if rule.Most = c.within(v, 0, maxSuspects); usual.Most == 0 {
			c.problem(v, "referral-fraud", fmt.Sprintf("rule %q counts nothing", at.name), "leave `most` out")
		}
	}
	if v, has := o.get("within"); has {
		if rule.Within, _ = c.duration(v); usual.Within == 0 {
			c.problem(v, "referral-fraud", fmt.Sprintf("rule %q looks at no span of time", at.name), "leave `within` out")
		} else if rule.Within > maxSuspectSpan {
			c.problem(v, "bad-duration", fmt.Sprintf("%s is too long a span to count in", campaign.FormatDuration(rule.Within)), "at most "+campaign.FormatDuration(maxSuspectSpan))
		}
	}
}

// refersNobody checks, when all journeys are known, what grants to inviters may follow.
func (c *checker) refersNobody() {
	for _, j := range c.journeys {
		var grants []node
		for _, s := range j.all {
			if g, ok := s.step.(*campaign.Grant); ok && g.To == campaign.ToInviter {
				grants = append(grants, s.key)
			}
		}
		if len(grants) == 0 {
			continue
		}
		for _, event := range heard(j.def) {
			switch {
			case event != campaign.EventReferralBound && campaign.IsReferralEvent(event):
				// What is told of is a success of the member herself, so her inviter would be the second level.
				c.problem(grants[0], "referral-levels", fmt.Sprintf("this journey hears %s, a success of the member herself: her inviter has no part in it", event),
					"grant to the member; rewards reach one level (《禁止传销条例》 art. 7)")
			case sharing.MatchString(event):
				c.noShare(grants[0], event)
			}
		}
	}
	if c.referred {
		if at, taken := c.declaredJourney(campaign.ReferralJourney); taken {
			c.problem(at, "referral-name", `a campaign with referrals has a journey "referral" already, which follows each of them`, "give yours another name")
		}
		if c.def.Referral != nil {
			c.def.Journeys = append(c.def.Journeys, campaign.FollowsReferrals())
		}
	}
}

func (c *checker) declaredJourney(name string) (node, bool) {
	for _, j := range c.journeys {
		if j.def.Name == name {
			return j.key, true
		}
	}
	return node{}, false
}

// heard lists the events that start a journey, or for which its steps wait.
func heard(j *campaign.Journey) (events []string) {
	for _, s := range j.Starts {
		if s.Event != "" {
			events = append(events, s.Event)
		}
	}
	var look func(campaign.Steps)
	look = func(steps campaign.Steps) {
		for _, s := range steps {
			if a, ok := s.(*campaign.Await); ok {
				events = append(events, a.Events...)
			}
			for _, b := range campaign.Children(s) {
				look(b.Steps)
			}
		}
	}
	look(j.Steps)
	slices.Sort(events)
	return slices.Compact(events)
}

// startByReferral reads `referral: bound`.
func (c *checker) startByReferral(n node) (campaign.Start, bool) {
	s := campaign.Start{Event: campaign.EventReferralBound}
	text, ok := c.text(n, "write `referral: bound`")
	switch {
	case !ok:
		return s, false
	case text != "bound":
		c.problem(n, "start", fmt.Sprintf(`"referral" cannot be %q`, shorten(text)),
			"write `referral: bound`: an invitee begins when she is bound; for her inviter there are events, such as `on: referral.vested`")
		return s, false
	case !c.referred:
		c.problem(n, "no-referral", "this campaign has no referrals", "add `referral:` at the top, with what qualifies and who gets what")
		return s, false
	}
	return s, true
}

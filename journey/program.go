package journey

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// Program is a definition made ready to run: every expression compiled, every step
// knowing what follows it. It is immutable and safe for concurrent use.
type Program struct {
	def      *campaign.Definition
	env      *rules.Env
	loc      *time.Location
	messages map[string]*message
	plans    map[string]*plan
	rewards  bool // something reads what members were granted

	pointRules         []*PointRule
	pointGroups        []*rules.Expr // beside the groups of the leaderboard
	inviters, invitees *rules.Expr   // of a campaign with referrals; nil: everybody
}

type message struct {
	*campaign.Message
	text  *rules.Template            // nil where every channel has its own
	texts map[string]*rules.Template // by channel
	// subject is nil where no channel of the message has one.
	subject *rules.Template
}

// plan is one journey of a program.
type plan struct {
	*campaign.Journey
	first      string
	nodes      map[string]*node
	labels     map[string]string
	starts     []*rules.Expr            // beside Journey.Starts; nil: no condition
	goal, exit *rules.Expr              // nil: no condition
	types      []string                 // every event type that may matter to it
	fed        [carriesAll + 1][]string // types, by what a state has brought along
	needs      []campaign.Behaviour
	scope      rules.Scope // of the steps' conditions and values
	startNeeds []campaign.Behaviour
	teams      bool     // it has a step at which teams come together
	refunds    []string // types of events that take back what orders led to
}

// node is one step with what follows it.
type node struct {
	id     string
	step   campaign.Step
	name   string
	next   string            // "" runs off the end
	blocks map[string]string // first step of each block, or next where it is empty
	when   *rules.Expr       // await: the condition; grant: what the steps of its reward are measured by; wait: the moment; repeat: until; team, offer: the code; call: the body
	exprs  []*rules.Expr     // choose: cases; set: values
	until  *campaign.Calendar
}

// Definition is what the program was made from.
func (p *Program) Definition() *campaign.Definition { return p.def }

// Compile makes a checked definition ready to run. A definition that was accepted
// compiles; an error means that it was made by another build of the language.
func Compile(def *campaign.Definition) (*Program, error) {
	loc, err := def.Location()
	if err != nil {
		return nil, err
	}
	env, issues := rules.New(def)
	p := &Program{def: def, env: env, loc: loc, messages: map[string]*message{}, plans: map[string]*plan{}}
	c := &compiler{p: p, issues: issues}
	scope := rules.MessageScope(def)
	for i := range def.Messages {
		m := &message{Message: &def.Messages[i], texts: map[string]*rules.Template{}}
		if m.Text != "" {
			m.text = c.template("messages."+m.Name, m.Text, scope)
		}
		for ch, text := range m.Texts {
			m.texts[ch] = c.template("messages."+m.Name+"."+ch, text, scope)
		}
		if m.Subject != "" {
			m.subject = c.template("messages."+m.Name+".subject", m.Subject, scope)
		}
		p.messages[m.Name] = m
	}
	if ref := def.Referral; ref != nil {
		p.inviters = c.expr("referral.inviters", ref.Inviters, rules.SegmentScope(), rules.WantBool)
		p.invitees = c.expr("referral.invitees", ref.Invitees, rules.SegmentScope(), rules.WantBool)
	}
	for i := range def.Journeys {
		pl := c.plan(&def.Journeys[i])
		p.plans[pl.Name] = pl
	}
	c.points()
	if len(c.issues) > 0 {
		is := c.issues[0]
		return nil, campaign.Errorf(campaign.CodeInvalid, "campaign %s does not compile in this build: %s: %s (and %d more)",
			def.Name, is.Where, is.Message, len(c.issues)-1)
	}
	return p, nil
}

type compiler struct {
	p      *Program
	issues []rules.Issue
}

func (c *compiler) note(where string, issues []rules.Issue) {
	for _, is := range issues {
		is.Where = where
		c.issues = append(c.issues, is)
	}
}

func (c *compiler) expr(where, src string, sc rules.Scope, want rules.Want) *rules.Expr {
	if src == "" {
		return nil
	}
	x, issues := c.p.env.Compile(src, sc, want)
	c.note(where, issues)
	c.p.rewards = c.p.rewards || x != nil && rules.ReadsRewards(x)
	return x
}

func (c *compiler) template(where, src string, sc rules.Scope) *rules.Template {
	t, issues := c.p.env.CompileTemplate(src, sc)
	c.note(where, issues)
	c.p.rewards = c.p.rewards || t != nil && rules.ReadsRewards(t)
	return t
}

func (c *compiler) plan(j *campaign.Journey) *plan {
	pl := &plan{Journey: j, nodes: map[string]*node{}, labels: map[string]string{}, scope: rules.StepScope(j)}
	at := "journeys." + j.Name
	for i, s := range j.Starts {
		var x *rules.Expr
		if s.Event != "" {
			x = c.expr(fmt.Sprintf("%s.start[%d]", at, i), s.When, rules.StartScope(s.Event), rules.WantBool)
		}
		if s.Schedule != "" {
			if _, err := campaign.ParseCalendar(s.Schedule); err != nil {
				c.note(fmt.Sprintf("%s.start[%d]", at, i), []rules.Issue{{Message: err.Error()}})
			}
		}
		pl.starts = append(pl.starts, x)
		pl.startNeeds = union(pl.startNeeds, x)
		if seg, ok := c.p.env.Segment(s.Segment); ok {
			pl.startNeeds = union(pl.startNeeds, seg)
		}
	}
	if j.Goal != nil {
		pl.goal = c.expr(at+".goal", j.Goal.When, rules.TriggerScope(j, j.Goal.Event), rules.WantBool)
		pl.types = append(pl.types, j.Goal.Event)
		pl.needs = union(pl.needs, pl.goal)
	}
	if j.Exit != nil {
		pl.exit = c.expr(at+".exit", j.Exit.When, rules.TriggerScope(j, j.Exit.Event), rules.WantBool)
		pl.types = append(pl.types, j.Exit.Event)
		pl.needs = union(pl.needs, pl.exit)
	}
	pl.first = c.block(pl, j.Steps, "", at)
	pl.refunds = c.unwinds(pl)
	pl.types = append(pl.types, pl.refunds...)
	for _, n := range pl.nodes {
		if g, ok := n.step.(*campaign.Goto); ok {
			n.next = pl.labels[g.Target]
		}
	}
	slices.Sort(pl.types)
	pl.types = slices.Compact(pl.types)
	pl.fed = feeds(pl.types)
	return pl
}

// block links the steps of a block; next is what follows the whole of it. It returns
// where the block begins.
func (c *compiler) block(pl *plan, steps campaign.Steps, next, at string) string {
	first := next
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		id := s.Common().ID
		n := &node{id: id, step: s, name: campaign.StepName(s), next: first, blocks: map[string]string{}}
		if l := s.Common().Label; l != "" {
			pl.labels[l] = id
		}
		next := n.next
		if s.Kind() == campaign.StepRepeat {
			next = id // for the next round
		}
		for _, b := range campaign.Children(s) {
			n.blocks[b.Name] = c.block(pl, b.Steps, next, at)
		}
		c.node(pl, n, at+".steps."+id)
		pl.nodes[id] = n
		first = id
	}
	return first
}

func (c *compiler) node(pl *plan, n *node, at string) {
	scope := pl.scope
	msg := func(names ...string) {
		for _, name := range names {
			if m := c.p.messages[name]; m != nil {
				pl.needs = union(pl.needs, m.text)
				for _, t := range m.texts {
					pl.needs = union(pl.needs, t)
				}
			}
		}
	}
	switch s := n.step.(type) {
	case *campaign.Send:
		msg(s.Message)
	case *campaign.Wait:
		n.when = c.expr(at+".wait", s.At, scope, rules.WantType(campaign.TypeTime))
		pl.needs = union(pl.needs, n.when)
		if s.Until != "" {
			until, err := campaign.ParseCalendar(s.Until)
			if err != nil {
				c.note(at+".wait", []rules.Issue{{Message: err.Error()}})
			}
			n.until = &until
		}
	case *campaign.Repeat:
		n.when = c.expr(at+".repeat.until", s.Until, scope, rules.WantBool)
		pl.needs = union(pl.needs, n.when)
	case *campaign.Await:
		n.when = c.expr(at+".when", s.When, rules.TriggerScope(pl.Journey, s.Events...), rules.WantBool)
		pl.types = append(pl.types, s.Events...)
		pl.needs = union(pl.needs, n.when)
	case *campaign.MakeOffer:
		msg(s.Announce)
		for _, r := range s.Remind {
			msg(r.Send)
		}
		pl.types = append(pl.types, campaign.EventOrderPaid, campaign.EventOfferReserved, campaign.EventReviewDecided)
		if t := s.Team; t != nil {
			pl.teams = true
			msg(t.Announce)
			for _, r := range t.Remind {
				msg(r.Send)
			}
			n.when = c.expr(at+".team.join", t.Join, rules.TriggerScope(pl.Journey, campaign.EventOrderPaid), rules.WantType(campaign.TypeString))
			pl.needs = union(pl.needs, n.when)
			pl.types = append(pl.types, campaign.EventTeamFormed)
		}
	case *campaign.Choose:
		for i, cs := range s.Cases {
			x := c.expr(fmt.Sprintf("%s.choose[%d]", at, i), cs.When, scope, rules.WantBool)
			n.exprs = append(n.exprs, x)
			pl.needs = union(pl.needs, x)
		}
	case *campaign.Set:
		for _, a := range s.Assign {
			want := rules.WantType(campaign.TypeString)
			for _, p := range c.p.def.Member {
				if p.Name == a.Attribute {
					want = rules.WantType(p.Type)
				}
			}
			x := c.expr(at+".set."+a.Attribute, a.Value, scope, want)
			n.exprs = append(n.exprs, x)
			pl.needs = union(pl.needs, x)
		}
	case *campaign.AskQuestion:
		msg(s.Message, s.Again)
		pl.types = append(pl.types, campaign.EventReply)
	case *campaign.OpenReview:
		pl.types = append(pl.types, campaign.EventReviewDecided)
	case *campaign.FormTeam:
		pl.teams = true
		msg(s.Announce)
		for _, r := range s.Remind {
			msg(r.Send)
		}
		n.when = c.expr(at+".team.join", s.Join, scope, rules.WantType(campaign.TypeString))
		pl.needs = union(pl.needs, n.when)
		pl.types = append(pl.types, campaign.EventTeamFormed)
	case *campaign.CallService:
		n.when = c.expr(at+".call.body", s.Body, scope, rules.WantJSON)
		pl.types = append(pl.types, campaign.EventCallAnswered)
		pl.needs = union(pl.needs, n.when)
	case *campaign.Grant:
		if w, ok := c.p.def.Reward(s.Reward); ok && w.Ladder != nil {
			want := rules.WantType(campaign.TypeInt)
			if w.Ladder.Amount != "" {
				want = rules.WantType(campaign.TypeMoney)
			}
			n.when = c.expr("rewards."+w.Name, w.Ladder.By(), rules.SegmentScope(), want)
			pl.needs = union(pl.needs, n.when)
		}
	case *campaign.Split, *campaign.Tag, *campaign.Untag, *campaign.Goto, *campaign.End:
	case *campaign.FollowReferral:
		ref := c.p.def.Referral
		if ref == nil {
			c.note(at, []rules.Issue{{Message: "the campaign has no referral"}})
			return
		}
		n.when = c.expr("referral.qualifies", ref.Qualifies.When, rules.TriggerScope(pl.Journey, ref.Qualifies.Event), rules.WantBool)
		pl.needs = union(pl.needs, n.when)
		pl.types = append(pl.types, ref.Qualifies.Event, campaign.EventReviewDecided)
	}
}

// asker is an expression or template that asks about past behaviour.
type asker interface{ Behaviours() []campaign.Behaviour }

func union[T interface {
	asker
	comparable
}](to []campaign.Behaviour, from T) []campaign.Behaviour {
	var none T
	if from == none {
		return to
	}
	for _, b := range from.Behaviours() {
		if !slices.Contains(to, b) {
			to = append(to, b)
		}
	}
	return to
}

// Needs says what a turn of a journey must be given: the event types whose events it
// may have to judge, and the questions about past behaviour that its rules ask. One that may
// have been brought from another version needs more: see NeedsIn.
func (p *Program) Needs(journey string) (types []string, behaviours []campaign.Behaviour, err error) {
	pl, err := p.plan(journey)
	if err != nil {
		return nil, nil, err
	}
	return pl.types, pl.needs, nil
}

// ReadsRewards reports whether a turn must be given the coupons and benefits that the
// member was granted.
func (p *Program) ReadsRewards() bool { return p.rewards }

func (p *Program) plan(journey string) (*plan, error) {
	pl, ok := p.plans[journey]
	if !ok {
		return nil, campaign.Errorf(campaign.CodeNotFound, "campaign %s has no journey %s", p.def.Name, journey)
	}
	return pl, nil
}

// local writes a moment in the campaign's timezone, for traces and summaries.
func (p *Program) local(t time.Time) string { return t.In(p.loc).Format("01-02 15:04") }

func joined(list []string) string { return strings.Join(list, ", ") }

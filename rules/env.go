package rules

import (
	"slices"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/banyanhq/banyan/campaign"
)

// Env compiles and evaluates the expressions of one campaign definition. It is safe for
// use by several goroutines.
type Env struct {
	def *campaign.Definition
	loc *time.Location

	attributes   []campaign.Property // declared member attributes that can be read
	answers      []propertySlot      // what the journeys ask
	calls        []callSlot          // what the services that they call answer
	properties   map[propertySlot]int
	propertyList []propertySlot
	zeroes       map[campaign.Type]ref.Val

	eventNames   []string
	budgetNames  []string // rewards with a budget that all members share
	segmentNames []string
	segmentIndex map[string]int
	segments     []segment

	member   *object
	campaign *object

	// CEL checks an expression in place and builds parts of an environment when they are
	// first needed, so one expression is compiled at a time. Programs are shared freely.
	compiling sync.Mutex
	scopes    map[string]*scoped
	cache     *cache
	pool      sync.Pool
}

// segment is a compiled segment; expr is nil where it could not be compiled.
type segment struct {
	expr *Expr
	open bool // being followed, while circles are looked for
	done bool
}

// scoped is the typed environment of one scope.
type scoped struct {
	objects   map[string]*object
	variables []string // all that can be read, for messages
	budgets   bool     // budgets can be asked about
	cel       *cel.Env
}

// New builds the typed environment of a definition and compiles its segments. An issue
// says in Where what it is about: "segments.NAME", "member.NAME", "events.EVENT.NAME" or
// "timezone". A definition with issues still gives an Env, so that whatever else is wrong
// can be found too: segments that are broken exist and have no answer.
func New(def *campaign.Definition) (*Env, []Issue) {
	e := &Env{
		def: def, loc: time.UTC,
		properties: map[propertySlot]int{}, segmentIndex: map[string]int{},
		scopes: map[string]*scoped{}, cache: newCache(maxCached),
	}
	issues := checkNames(def)
	loc, err := def.Location()
	if err != nil {
		issues = append(issues, Issue{
			Where: "timezone", Check: checkOther, Message: "`" + def.Timezone + "` is not a timezone that this machine knows",
			Hint: "write a name such as Asia/Shanghai",
		})
	} else {
		e.loc = loc
	}
	e.zeroes = map[campaign.Type]ref.Val{
		campaign.TypeString: types.String(""),
		campaign.TypeInt:    types.IntZero,
		campaign.TypeNumber: types.Double(0),
		campaign.TypeBool:   types.False,
		campaign.TypeTime:   types.Timestamp{Time: time.Time{}.In(e.loc)},
		campaign.TypeMoney:  moneyValue{campaign.Money{Currency: def.Currency}},
	}
	e.declare()
	e.member, e.campaign = e.memberObject(), e.campaignObject()
	for i, s := range def.Segments {
		if _, twice := e.segmentIndex[s.Name]; twice {
			continue
		}
		e.segmentIndex[s.Name] = i
		e.segmentNames = append(e.segmentNames, s.Name)
	}
	e.segments = make([]segment, len(def.Segments))
	return e, append(issues, e.compileSegments()...)
}

// declare collects the attributes and properties that expressions can read.
func (e *Env) declare() {
	for _, p := range e.def.Member {
		hard := slices.Contains(memberBuiltIns, p.Name) && (!slices.Contains(memberSoft, p.Name) || p.Type != campaign.TypeString) ||
			p.Name == fieldLevel && e.def.HasLevels()
		if celTypes[p.Type] != nil && !hard {
			e.attributes = append(e.attributes, p)
		}
	}
	for i := range e.def.Journeys {
		for _, p := range answersOf(&e.def.Journeys[i]) {
			if slot := (propertySlot{p.Name, p.Type}); !slices.Contains(e.answers, slot) {
				e.answers = append(e.answers, slot)
			}
		}
		for _, slot := range slotsOf(callsOf(&e.def.Journeys[i])) {
			if !slices.Contains(e.calls, slot) {
				e.calls = append(e.calls, slot)
			}
		}
	}
	for i := range e.def.Rewards {
		if r := &e.def.Rewards[i]; len(leftOf(r)) > 0 {
			e.budgetNames = append(e.budgetNames, r.Name)
		}
	}
	for _, event := range e.def.Events {
		e.eventNames = append(e.eventNames, event.Name)
		for _, p := range event.Properties {
			slot := propertySlot{p.Name, p.Type}
			if _, have := e.properties[slot]; have || celTypes[p.Type] == nil {
				continue
			}
			e.properties[slot] = len(e.propertyList)
			e.propertyList = append(e.propertyList, slot)
		}
	}
}

// Segment gives a compiled segment. There is none where the name is unknown or the
// segment is broken.
func (e *Env) Segment(name string) (*Expr, bool) {
	i, ok := e.segmentIndex[name]
	if !ok || e.segments[i].expr == nil {
		return nil, false
	}
	return e.segments[i].expr, true
}

// in gives the typed environment of a scope that is normal.
func (e *Env) in(sc Scope, key string) (*scoped, error) {
	if s, ok := e.scopes[key]; ok {
		return s, nil
	}
	s := &scoped{objects: map[string]*object{varMember: e.member, varCampaign: e.campaign}}
	s.variables, s.budgets = []string{varMember}, sc.Budgets
	if len(sc.Event) > 0 {
		s.objects[varEvent] = e.happeningObject(varEvent, sc.Event, func(a *activation) *happening { return &a.event })
		s.variables = append(s.variables, varEvent)
	}
	if sc.HasStart {
		s.objects[varStart] = e.happeningObject(varStart, sc.Start, func(a *activation) *happening { return &a.start })
		s.variables = append(s.variables, varStart)
	}
	if sc.Offer {
		s.objects[varOffer] = offerObject()
		s.variables = append(s.variables, varOffer)
	}
	if len(sc.Answers) > 0 {
		s.objects[varAnswers] = e.answersObject(sc.Answers)
		s.variables = append(s.variables, varAnswers)
	}
	if sc.Team {
		s.objects[varTeam] = teamObject()
		s.variables = append(s.variables, varTeam)
	}
	if len(sc.Calls) > 0 {
		s.objects[varCalls] = e.callsObject(sc.Calls)
		s.variables = append(s.variables, varCalls)
	}
	s.variables = append(s.variables, varCampaign, varNow)
	if sc.HasStart {
		s.objects[varReward] = e.rewardsObject()
	}

	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	p := &provider{Registry: registry, env: e, objects: map[string]*object{}}
	opts := []cel.EnvOption{
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(p),
		// 3 > 2.5 is what somebody means who writes it.
		cel.CrossTypeNumericComparisons(true),
		// now.getHours() is the hour in the timezone of the value, which is the campaign's.
		cel.DefaultUTCTimeZone(false),
		cel.ParserRecursionLimit(MaxDepth),
		cel.ParserExpressionSizeLimit(MaxSource),
		cel.Variable(varNow, cel.TimestampType),
		cel.Variable(varLiteral, objectType(varLiteral)),
		cel.Variable(varBehaviour, objectType(varBehaviour)),
		cel.Variable(varSegment, objectType(varSegment)),
	}
	if !sc.mixed {
		opts = append(opts, cel.ASTValidators(cel.ValidateHomogeneousAggregateLiterals()))
	}
	for name, o := range s.objects {
		p.objects[o.typeName()] = o
		for _, f := range o.fields {
			if f.of != nil {
				p.objects[f.of.typeName()] = f.of
			}
		}
		opts = append(opts, cel.Variable(name, objectType(name)))
	}
	if s.cel, err = cel.NewEnv(append(opts, e.options()...)...); err != nil {
		return nil, err
	}
	if len(e.scopes) >= maxScopes {
		clear(e.scopes)
	}
	e.scopes[key] = s
	return s, nil
}

// maxScopes bounds the environments that are kept. A campaign has a handful of scopes for
// each journey; more come only from callers that make up their own.
const maxScopes = 256

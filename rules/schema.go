package rules

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/banyanhq/banyan/campaign"
)

// Names of the variables.
const (
	varMember   = "member"
	varEvent    = "event"
	varStart    = "start"
	varOffer    = "offer"
	varAnswers  = "answers"
	varTeam     = "team"
	varCalls    = "calls"
	varCampaign = "campaign"
	varNow      = "now"
)

// Variables that nobody can write: the parser knows no '@'. Calls whose arguments are
// constants become selections on them, so that they are typed like any field, cost no
// look-up of a function, and convert their constants once.
const (
	varLiteral   = "@literal"   // money("9.90"), duration("7d"), timestamp("…")
	varBehaviour = "@behaviour" // count, sum, last
	varSegment   = "@segment"   // segment
	varReward    = "@reward"    // reward
)

// typePrefix keeps the type of a variable apart from its name.
const typePrefix = "banyan."

// field is something that can be read of a variable.
type field struct {
	name  string
	typ   *types.Type
	oneOf []string
	clash string // says why a declared field cannot be read here
	get   func(*activation) (any, error)
	has   func(*activation) bool
	of    *object // what it holds, where it is no value by itself

	ofTime bool // it changes because time goes by
}

// object is a variable with fields.
type object struct {
	name   string
	fields map[string]*field
	names  []string // declared ones first, as written, then the built-in ones
}

func newObject(name string) *object { return &object{name: name, fields: map[string]*field{}} }

func (o *object) typeName() string { return typePrefix + o.name }

// add puts a field into the object; the first of a name stays.
func (o *object) add(f *field) {
	if _, taken := o.fields[f.name]; taken {
		return
	}
	o.fields[f.name] = f
	o.names = append(o.names, f.name)
}

// celTypes are the types of the campaign language as CEL has them.
var celTypes = map[campaign.Type]*types.Type{
	campaign.TypeString: types.StringType,
	campaign.TypeInt:    types.IntType,
	campaign.TypeNumber: types.DoubleType,
	campaign.TypeBool:   types.BoolType,
	campaign.TypeTime:   types.TimestampType,
	campaign.TypeMoney:  moneyType,
}

// Built-in fields. A declared attribute of one of the soft ones is the same thing under
// the same name, so it may be declared, as a string, to say which values it has.
var (
	memberBuiltIns = []string{"id", "joined_at", "tags", "points", "benefits", "level", "source", "inviter"}
	memberSoft     = []string{"level", "source", "inviter"}
	eventBuiltIns  = []string{"id", "type", "time"}
)

// checkNames reports what the declarations of a definition get wrong in a way that only
// expressions notice.
func checkNames(def *campaign.Definition) []Issue {
	var issues []Issue
	for _, p := range def.Member {
		where := "member." + p.Name
		switch {
		case p.Name == fieldLevel && def.HasLevels():
			issues = append(issues, Issue{
				Where: where, Check: checkReserved, Message: "`level` is what the campaign's points give; it cannot be declared beside `points.levels`",
				Hint: "leave it out: member.level is one of the levels, or the empty text",
			})
		case slices.Contains(memberSoft, p.Name) && p.Type != campaign.TypeString:
			issues = append(issues, Issue{
				Where: where, Check: checkReserved, Message: "`" + p.Name + "` is built in and a string; it cannot be declared as " + string(p.Type),
				Hint: "write {type: string, one_of: […]} to say which values it has, or choose another name",
			})
		case slices.Contains(memberBuiltIns, p.Name) && !slices.Contains(memberSoft, p.Name):
			issues = append(issues, Issue{
				Where: where, Check: checkReserved, Message: "`" + p.Name + "` is built in; expressions read it without a declaration",
				Hint: "leave it out, or choose another name",
			})
		default:
			issues = append(issues, checkName(where, p)...)
		}
	}
	for _, e := range def.Events {
		for _, p := range e.Properties {
			where := "events." + e.Name + "." + p.Name
			if slices.Contains(eventBuiltIns, p.Name) {
				issues = append(issues, Issue{
					Where: where, Check: checkReserved, Message: "every event has `" + p.Name + "` by itself; a property cannot have its name",
					Hint: "leave it out, or choose another name, such as " + lastWord(e.Name) + "_" + p.Name,
				})
				continue
			}
			issues = append(issues, checkName(where, p)...)
		}
	}
	return issues
}

// checkName reports a name that an expression could not write, or a type that is none.
func checkName(where string, p campaign.Property) []Issue {
	var issues []Issue
	if p.Name == "" || wordLength(p.Name) != len(p.Name) || p.Name[0] >= '0' && p.Name[0] <= '9' {
		issues = append(issues, Issue{
			Where: where, Check: checkReserved, Message: "expressions cannot read a name such as `" + p.Name + "`",
			Hint: "use letters a to z, digits and _, beginning with a letter",
		})
	} else if slices.Contains([]string{"in", "true", "false", "null"}, p.Name) {
		issues = append(issues, Issue{
			Where: where, Check: checkReserved, Message: "`" + p.Name + "` is a word of the expression language", Hint: "choose another name",
		})
	}
	if _, ok := celTypes[p.Type]; !ok {
		known := typeNames()
		issues = append(issues, Issue{
			Where: where, Check: checkOther, Message: "`" + string(p.Type) + "` is not a type",
			Hint: allowedHint(string(p.Type), known, "types"), Allowed: known,
		})
	}
	return issues
}

func typeNames() []string {
	all := campaign.Types()
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = string(t)
	}
	return names
}

func lastWord(eventName string) string {
	return eventName[:max(strings.IndexAny(eventName+".", ".-"), 0)]
}

// propertySlot tells declared event properties apart. Properties of the same name and
// type in several events are one slot, of whichever event it was.
type propertySlot struct {
	name string
	typ  campaign.Type
}

// happeningObject describes event or start for the events that it may be.
func (e *Env) happeningObject(name string, events []string, side func(*activation) *happening) *object {
	o := newObject(name)
	declaredBy := map[string]string{}
	for _, eventName := range events {
		declared, ok := e.def.Event(eventName)
		if !ok {
			continue
		}
		for _, p := range declared.Properties {
			slot, ok := e.properties[propertySlot{p.Name, p.Type}]
			if !ok || slices.Contains(eventBuiltIns, p.Name) {
				continue
			}
			if have, twice := o.fields[p.Name]; twice {
				mergeProperty(have, name, p, declaredBy[p.Name], eventName)
				continue
			}
			declaredBy[p.Name] = eventName
			o.add(&field{
				name: p.Name, typ: celTypes[p.Type], oneOf: slices.Clone(p.OneOf),
				get: func(a *activation) (any, error) { return side(a).property(a, slot).val, nil },
				has: func(a *activation) bool { return side(a).property(a, slot).has },
			})
		}
	}
	addHappeningBuiltIns(o, side)
	return o
}

// mergeProperty joins a property that several events declare: the types must be equal,
// the values are those of all, and any where one of them names none.
func mergeProperty(have *field, variable string, p campaign.Property, first, second string) {
	if !have.typ.IsExactType(celTypes[p.Type]) {
		have.clash = "`" + variable + "." + p.Name + "` is " + typeWord(have.typ) + " in " + first +
			" and " + string(p.Type) + " in " + second + "; it cannot be read where the event may be either"
		return
	}
	have.alsoOneOf(p.OneOf)
}

// alsoOneOf adds the values that the field has elsewhere; none means any.
func (f *field) alsoOneOf(values []string) {
	if len(f.oneOf) == 0 || len(values) == 0 {
		f.oneOf = nil
		return
	}
	for _, v := range values {
		if !slices.Contains(f.oneOf, v) {
			f.oneOf = append(f.oneOf, v)
		}
	}
}

func addHappeningBuiltIns(o *object, side func(*activation) *happening) {
	present := func(a *activation) bool { return side(a).event(a) != nil }
	o.add(&field{
		name: "id", typ: types.StringType, has: present,
		get: func(a *activation) (any, error) { return side(a).idValue(a), nil },
	})
	o.add(&field{
		name: "type", typ: types.StringType, has: present,
		get: func(a *activation) (any, error) { return side(a).typeValue(a), nil },
	})
	o.add(&field{
		name: "time", typ: types.TimestampType, has: present,
		get: func(a *activation) (any, error) { return side(a).timeValue(a), nil },
	})
}

// memberObject describes member.
func (e *Env) memberObject() *object {
	o := newObject(varMember)
	for i, p := range e.attributes {
		o.add(e.attributeField(i, p))
	}
	str := func(name string, slot int, of func(*campaign.Member) string) {
		o.add(&field{
			name: name, typ: types.StringType,
			get: func(a *activation) (any, error) { return a.memberText(slot, of) },
			has: func(a *activation) bool { return a.facts.Member != nil && of(a.facts.Member) != "" },
		})
	}
	str("id", slotID, func(m *campaign.Member) string { return m.ID })
	o.add(&field{
		name: "joined_at", typ: types.TimestampType,
		get: func(a *activation) (any, error) { return a.memberJoined() },
		has: func(a *activation) bool { return a.facts.Member != nil && !a.facts.Member.JoinedAt.IsZero() },
	})
	o.add(&field{
		name: "tags", typ: types.NewListType(types.StringType),
		get: func(a *activation) (any, error) { return a.memberTags() },
		has: func(a *activation) bool { return a.facts.Member != nil && len(a.facts.Member.Tags) > 0 },
	})
	o.add(&field{
		name: "points", typ: types.IntType,
		get: func(a *activation) (any, error) { return a.memberPoints() },
		has: func(a *activation) bool { return a.facts.Member != nil },
	})
	o.add(benefitsField())
	for i, of := range softFields {
		if e.def.HasLevels() && memberSoft[i] == fieldLevel {
			of = func(m *campaign.Member) string { return m.Levels[e.def.Name] }
		}
		str(memberSoft[i], slotSoft+i, of)
	}
	if e.def.HasLevels() {
		for _, l := range e.def.Points.Levels {
			o.fields[fieldLevel].oneOf = append(o.fields[fieldLevel].oneOf, l.Name)
		}
	}
	return o
}

// fieldLevel is a member's level: the one that the campaign's points give her, or an
// attribute of that name where the campaign has no levels.
const fieldLevel = "level"

// softFields reads the built-in fields that may be declared too, in the order of memberSoft.
var softFields = []func(*campaign.Member) string{
	func(m *campaign.Member) string { return m.Level },
	func(m *campaign.Member) string { return m.Source },
	func(m *campaign.Member) string { return m.Inviter },
}

// attributeField describes a declared attribute. One of a soft built-in name falls back to
// the built-in value where the member has no such attribute.
func (e *Env) attributeField(i int, p campaign.Property) *field {
	f := &field{
		name: p.Name, typ: celTypes[p.Type], oneOf: p.OneOf,
		get: func(a *activation) (any, error) {
			s, err := a.attribute(i)
			return s.val, err
		},
		has: func(a *activation) bool {
			s, err := a.attribute(i)
			return err == nil && s.has
		},
	}
	soft := slices.Index(memberSoft, p.Name)
	if soft < 0 {
		return f
	}
	of := softFields[soft]
	f.get = func(a *activation) (any, error) {
		if s, err := a.attribute(i); err != nil || s.has {
			return s.val, err
		}
		return a.memberText(slotSoft+soft, of)
	}
	f.has = func(a *activation) bool {
		s, err := a.attribute(i)
		return err == nil && (s.has || of(a.facts.Member) != "")
	}
	return f
}

// campaignObject describes campaign: constants.
func (e *Env) campaignObject() *object {
	o := newObject(varCampaign)
	for _, c := range []struct{ name, value string }{{"name", e.def.Name}, {"title", e.def.Title}} {
		value := types.String(c.value)
		o.add(&field{
			name: c.name, typ: types.StringType,
			get: func(*activation) (any, error) { return value, nil },
			has: func(*activation) bool { return value != "" },
		})
	}
	return o
}

// objectType is the CEL type of a variable with fields.
func objectType(name string) *cel.Type { return cel.ObjectType(typePrefix + name) }

package journey

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

// Stand is how many members stand at a step of a version. One who has taken no turn
// stands before the first step, which is written as an empty step or as that one.
type Stand struct {
	Version int
	Journey string
	Step    string
	Members int64
}

// PlannedStep is a step of a version at which members stand, and what a migration to
// another version means for them.
type PlannedStep struct {
	Version int    `json:"version" doc:"The version that they are on"`
	Journey string `json:"journey"`
	Step    string `json:"step"`
	Label   string `json:"label,omitempty"`
	Name    string `json:"name" doc:"The step in a few words"`
	Members int64  `json:"members"`
	// Match is the same step in the new version.
	Match     string   `json:"match,omitempty" doc:"The same step in the new version; absent where there is none"`
	MatchName string   `json:"match_name,omitempty"`
	MatchLine int      `json:"match_line,omitempty" doc:"Its line in the new version's text"`
	WaitsOn   bool     `json:"waits_on,omitempty" doc:"Moved there they go on waiting, until the moment that they were promised; otherwise the step begins anew"`
	Changed   []string `json:"changed,omitempty" doc:"Keys of the step that the new version writes otherwise"`
	// Choice is what is done with them.
	Choice campaign.MigrationChoice `json:"choice"`
	Means  string                   `json:"means" doc:"What the choice means, in words"`
}

// RuleProblem is a rule that cannot be followed.
type RuleProblem struct {
	Rule    int // its place among the rules
	Field   string
	Message string
	Hint    string
}

// Flight is where the members of a campaign stand, and the versions that they are on.
type Flight struct {
	Stands   []Stand
	Versions map[int]*campaign.Definition
}

// PlanMigration works out what a migration to a version means for everybody in flight on
// another: to is its definition, number its number, 0 where it is not stored yet. choices
// says what is to be done with who stands at each step, those that are kept left out. If
// a rule cannot be followed there are problems, and nothing is to be done at all.
func PlanMigration(f Flight, to *campaign.Definition, number int, rules []campaign.MigrationRule) (plan []PlannedStep, choices []campaign.MigrationChoice, problems []RuleProblem) {
	p := &planner{Flight: f, to: to, number: number, rules: rules, members: map[place]int64{}}
	for _, version := range slices.Sorted(maps.Keys(f.Versions)) {
		if version != number {
			p.versions = append(p.versions, version)
		}
	}
	for _, s := range f.Stands {
		if def := f.Versions[s.Version]; def != nil && s.Step == "" {
			if j, ok := def.Journey(s.Journey); ok && len(j.Steps) > 0 {
				s.Step = j.Steps[0].Common().ID
			}
		}
		p.members[place{s.Version, s.Journey, s.Step}] += s.Members
	}
	for i := range rules {
		p.check(i)
	}
	if len(p.problems) > 0 {
		return nil, nil, p.problems
	}
	for _, version := range p.versions {
		for i := range f.Versions[version].Journeys {
			if j := &f.Versions[version].Journeys[i]; f.Versions[version].Written(j) {
				p.journey(version, j)
			}
		}
	}
	if len(p.problems) > 0 {
		return nil, nil, p.problems
	}
	return p.plan, p.choices, nil
}

type place struct {
	version       int
	journey, step string
}

type planner struct {
	Flight
	to       *campaign.Definition
	number   int
	rules    []campaign.MigrationRule
	versions []int // that may be left
	members  map[place]int64
	plan     []PlannedStep
	choices  []campaign.MigrationChoice
	problems []RuleProblem
}

func (p *planner) problem(rule int, field, message, hint string) {
	p.problems = append(p.problems, RuleProblem{rule, field, message, hint})
}

// outcomeName is what an end step may name, too.
var outcomeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// check looks at a rule by itself and at what it names.
func (p *planner) check(i int) {
	r := &p.rules[i]
	switch {
	case !slices.Contains([]campaign.MigrationDo{campaign.MigrationKeep, campaign.MigrationMove, campaign.MigrationEnd}, r.Do):
		p.problem(i, "do", fmt.Sprintf("%q is nothing that can be done", r.Do), "allowed: keep, move, end")
	case r.Do == campaign.MigrationEnd && !outcomeName.MatchString(r.Outcome):
		p.problem(i, "outcome", fmt.Sprintf("%q is not an outcome", r.Outcome),
			"an end names the outcome: 1 to 40 lower-case letters, digits and hyphens, beginning with a letter")
	case r.Do != campaign.MigrationEnd && r.Outcome != "":
		p.problem(i, "outcome", "only an end has an outcome", "leave it out, or write end")
	case r.Do != campaign.MigrationMove && r.To != "":
		p.problem(i, "to", "only a move has a step to go to", "leave it out, or write move")
	case r.Step != "" && r.Journey == "":
		p.problem(i, "journey", "a step belongs to a journey", "name the journey too")
	case r.Version != 0 && r.Version == p.number:
		p.problem(i, "version", fmt.Sprintf("version %d is the one that the migration leads to", r.Version), p.allowedVersions())
	case r.Version != 0 && !slices.Contains(p.versions, r.Version):
		p.problem(i, "version", fmt.Sprintf("nobody is in flight on version %d", r.Version), p.allowedVersions())
	case r.Journey != "":
		p.checkNames(i)
	}
}

func (p *planner) allowedVersions() string {
	if len(p.versions) == 0 {
		return "nobody is in flight on another version"
	}
	names := make([]string, len(p.versions))
	for i, v := range p.versions {
		names[i] = strconv.Itoa(v)
	}
	return "allowed: " + strings.Join(names, ", ")
}

// checkNames looks for the journey and the step in every version that a rule is about.
func (p *planner) checkNames(i int) {
	r := &p.rules[i]
	var journeys, steps []string
	for _, version := range p.versions {
		if r.Version != 0 && r.Version != version {
			continue
		}
		for n := range p.Versions[version].Journeys {
			j := &p.Versions[version].Journeys[n]
			if !p.Versions[version].Written(j) {
				continue // what was promised with a binding stays
			}
			journeys = append(journeys, j.Name)
			if j.Name != r.Journey {
				continue
			}
			if r.Step == "" || stepBy(j, r.Step) != nil {
				p.checkTarget(i)
				return
			}
			steps = append(steps, stepNames(j)...)
		}
	}
	switch {
	case len(p.versions) == 0: // nobody is in flight, so it is about nobody
	case !slices.Contains(journeys, r.Journey):
		p.problem(i, "journey", fmt.Sprintf("there is no journey %q", r.Journey), allowed(journeys))
	default:
		p.problem(i, "step", fmt.Sprintf("journey %s has no step %q", r.Journey, r.Step), allowed(steps))
	}
}

func (p *planner) checkTarget(i int) {
	r := &p.rules[i]
	if r.Do != campaign.MigrationMove {
		return
	}
	j, ok := p.to.Journey(r.Journey)
	if !ok {
		p.problem(i, "do", fmt.Sprintf("the new version has no journey %s", r.Journey), "keep its members, or end their journeys")
		return
	}
	if r.To != "" && stepBy(j, r.To) == nil {
		p.problem(i, "to", fmt.Sprintf("journey %s has no step %q in the new version", r.Journey, r.To), allowed(stepNames(j)))
	}
}

func allowed(list []string) string {
	var once []string
	for _, s := range list {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return "allowed: " + strings.Join(once, ", ")
}

// stepBy finds a step by its id or label.
func stepBy(j *campaign.Journey, name string) campaign.Step {
	for _, s := range StepsOf(j) {
		if c := s.Common(); c.ID == name || c.Label == name && name != "" {
			return s
		}
	}
	return nil
}

func stepNames(j *campaign.Journey) (names []string) {
	for _, s := range StepsOf(j) {
		name := s.Common().ID
		if l := s.Common().Label; l != "" {
			name += " or " + l
		}
		names = append(names, name+" ("+campaign.StepName(s)+")")
	}
	return names
}

// journey plans for all who are in a journey on a version.
func (p *planner) journey(version int, old *campaign.Journey) {
	target, _ := p.to.Journey(old.Name)
	match := Match(old, target)
	for _, s := range StepsOf(old) {
		id := s.Common().ID
		row := PlannedStep{
			Version: version, Journey: old.Name, Step: id, Label: s.Common().Label, Name: campaign.StepName(s),
			Members: p.members[place{version, old.Name, id}], Match: match[id],
			Choice: campaign.MigrationChoice{Version: version, Journey: old.Name, Step: id, Do: campaign.MigrationKeep},
		}
		var same campaign.Step
		if row.Match != "" {
			same = stepBy(target, row.Match)
			row.MatchName, row.MatchLine = campaign.StepName(same), same.Common().Line
			row.WaitsOn, row.Changed = waitsOn(s, same), changed(s, same)
		}
		if rule, ok := p.ruleFor(version, old, s); ok && !p.choose(&row, &p.rules[rule], rule, target) {
			continue
		}
		row.Means = means(&row, s, target)
		if row.Choice.Do != campaign.MigrationKeep {
			p.choices = append(p.choices, row.Choice)
		}
		if row.Members > 0 {
			p.plan = append(p.plan, row)
		}
	}
}

// ruleFor finds the rule that counts for a step.
func (p *planner) ruleFor(version int, j *campaign.Journey, s campaign.Step) (best int, ok bool) {
	names := func(r *campaign.MigrationRule) (n int) {
		for weight, named := range map[int]bool{1: r.Version != 0, 2: r.Journey != "", 4: r.Step != ""} {
			if named {
				n += weight
			}
		}
		return n
	}
	best = -1
	for i := range p.rules {
		r := &p.rules[i]
		fits := (r.Version == 0 || r.Version == version) && (r.Journey == "" || r.Journey == j.Name) &&
			(r.Step == "" || r.Step == s.Common().ID || r.Step == s.Common().Label)
		if !fits {
			continue
		}
		switch {
		case best < 0 || names(r) > names(&p.rules[best]):
			best = i
		case names(r) == names(&p.rules[best]) && (r.Do != p.rules[best].Do || r.To != p.rules[best].To || r.Outcome != p.rules[best].Outcome):
			p.problem(i, "", fmt.Sprintf("it says otherwise than rule %d of step %s of journey %s", best+1, s.Common().ID, j.Name), "leave one of the two out")
		}
	}
	return best, best >= 0
}

// choose follows a rule for a step; false: it cannot be followed.
func (p *planner) choose(row *PlannedStep, r *campaign.MigrationRule, i int, target *campaign.Journey) bool {
	c := &row.Choice
	c.Do, c.Outcome = r.Do, r.Outcome
	if r.Do != campaign.MigrationMove {
		return true
	}
	if c.To = row.Match; r.To != "" && target != nil {
		if s := stepBy(target, r.To); s != nil {
			c.To = s.Common().ID
		}
	}
	switch {
	case c.To != "":
		return true
	case r.Step == "" && row.Members == 0:
		c.Do = campaign.MigrationKeep // a rule for all, of a step at which nobody stands
		return true
	}
	message := fmt.Sprintf("step %s (%s) of journey %s on version %d has no counterpart in the new version", row.Step, row.Name, row.Journey, row.Version)
	if row.Members > 0 {
		stand := "members stand"
		if row.Members == 1 {
			stand = "member stands"
		}
		message += fmt.Sprintf("; %d %s there", row.Members, stand)
	}
	hint := "keep them, end their journeys, or name the step"
	if target != nil {
		hint += "; " + allowed(stepNames(target))
	}
	p.problem(i, "to", message, hint)
	return false
}

// means says what a choice means to who stands at the step.
func means(row *PlannedStep, s campaign.Step, target *campaign.Journey) string {
	switch row.Choice.Do {
	case campaign.MigrationEnd:
		return "the journey ends as " + row.Choice.Outcome + ", and open offers are withdrawn"
	case campaign.MigrationMove:
		to := stepBy(target, row.Choice.To)
		where := fmt.Sprintf("step %s (%s)", row.Choice.To, campaign.StepName(to))
		if row.Choice.To == row.Match && row.WaitsOn {
			if _, ok := s.(*campaign.MakeOffer); ok {
				return "the offer stays open as it was made, now at " + where
			}
			if _, ok := s.(*campaign.FormTeam); ok {
				return "they stay in their teams as these were opened, now at " + where
			}
			return "the wait goes on, now at " + where
		}
		if _, ok := s.(*campaign.MakeOffer); ok {
			return "the open offer is withdrawn; " + where + " begins anew"
		}
		if _, ok := s.(*campaign.FormTeam); ok {
			return "they leave their teams; " + where + " begins anew"
		}
		return where + " begins anew"
	case campaign.MigrationKeep:
	}
	return fmt.Sprintf("they finish on version %d", row.Version)
}

// changed lists the keys that two versions of a step write otherwise, but for the steps
// inside.
func changed(old, same campaign.Step) []string {
	a, b := keysOf(old), keysOf(same)
	var keys []string
	for key := range a {
		if !bytes.Equal(a[key], b[key]) {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, cmp.Compare)
	return keys
}

func keysOf(s campaign.Step) map[string]json.RawMessage {
	keys := map[string]json.RawMessage{}
	data, err := json.Marshal(s)
	if err != nil || json.Unmarshal(data, &keys) != nil {
		return nil
	}
	for _, key := range []string{"id", "label", "line"} {
		delete(keys, key)
	}
	for _, block := range campaign.Children(s) {
		delete(keys, block.Name)
	}
	return keys
}

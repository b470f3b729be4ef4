package simulate

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// YAML writes a population as a file that can be changed.
func YAML(p *definitions.Population) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("population: %s", quoted(p.Name))
	if p.PerDay > 0 {
		line("arrive: {per_day: %d}", p.PerDay)
	} else if p.Over > 0 {
		line("arrive: {over: %s}", campaign.FormatDuration(p.Over))
	}
	line("joined: %s", spanText(p.Joined))
	if len(p.Member) > 0 {
		line("member:")
		for _, t := range p.Member {
			var list []string
			for _, v := range t.Values {
				list = append(list, quoted(v.Text)+": "+shareText(v.Share))
			}
			line("  %s: {%s}", t.Name, strings.Join(list, ", "))
		}
	}
	if len(p.Tags) > 0 {
		var list []string
		for _, t := range p.Tags {
			list = append(list, quoted(t.Tag)+": "+shareText(t.Share))
		}
		line("tags: {%s}", strings.Join(list, ", "))
	}
	if p.Hours != definitions.Flat() {
		line("hours: {%s}", hoursText(&p.Hours))
	}
	if p.Late.Share > 0 {
		line("late: {share: %s, by: %s}", shareText(p.Late.Share), spanText(p.Late.By))
	}
	line("behaviour:")
	for i := range p.Behaviour {
		line("%s", reactionText(&p.Behaviour[i]))
	}
	if len(p.Reviews) > 0 {
		line("reviews:")
	}
	for i := range p.Reviews {
		line("%s", deciderText(&p.Reviews[i]))
	}
	return b.String()
}

func hoursText(hours *definitions.Hours) string {
	var list []string
	for h := 0; h < 24; {
		to := h + 1
		for to < 24 && hours[to] == hours[h] {
			to++
		}
		list = append(list, fmt.Sprintf("%d-%d: %s", h, to, strconv.FormatFloat(float64(hours[h])/1000, 'f', -1, 64)))
		h = to
	}
	return strings.Join(list, ", ")
}

func deciderText(d *definitions.Decider) string {
	var list []string
	if d.By != "" {
		list = append(list, "by: "+d.By)
	}
	if d.Step != "" {
		list = append(list, "step: "+d.Journey+"/"+d.Step)
	}
	list = append(list, "approve: "+shareText(d.Approve), "reject: "+shareText(d.Reject))
	if d.After != (definitions.Span{}) {
		list = append(list, "after: "+spanText(d.After))
	}
	if d.Hours != nil {
		list = append(list, "hours: {"+hoursText(d.Hours)+"}")
	}
	return "  - {" + strings.Join(list, ", ") + "}"
}

func reactionText(r *definitions.Reaction) string {
	out := "  - on: " + triggerText(&r.On)
	switch {
	case r.Service != nil && r.Service.Refused:
		out += "\n    refuse: true"
	case r.Service != nil:
		var list []definitions.Given
		for _, name := range slices.Sorted(maps.Keys(r.Service.Returned)) {
			list = append(list, definitions.Given{Property: name, Value: r.Service.Returned[name]})
		}
		out += "\n    answer: {" + givenText(list) + "}"
	case r.Do == nil:
		out += "\n    enter: " + r.Enter
	default:
		out += "\n    do: " + eventWord(r.Do.Name)
	}
	if len(r.With) > 0 {
		out += "\n    with: {" + givenText(r.With) + "}"
	}
	if r.Chance != definitions.Million {
		out += "\n    chance: " + shareText(r.Chance)
	}
	if len(r.Segments) > 0 {
		var list []string
		for _, s := range r.Segments {
			list = append(list, s.Segment+": "+shareText(s.Chance))
		}
		out += "\n    segments: {" + strings.Join(list, ", ") + "}"
	}
	if r.After != (definitions.Span{}) {
		out += "\n    after: " + spanText(r.After)
	}
	if r.Times != 1 {
		out += "\n    times: " + strconv.Itoa(r.Times)
	}
	if r.Unless != nil {
		out += "\n    unless: " + triggerText(r.Unless)
	}
	return out
}

// eventWord is what a population calls an event.
func eventWord(name string) string {
	if name == campaign.EventTeamFormed {
		return campaign.WordTeamFormed
	}
	return name
}

func triggerText(t *definitions.Trigger) string {
	if t.Kind == definitions.OnArrive {
		return t.Kind
	}
	name := eventWord(t.Name)
	if t.Kind == definitions.OnCall {
		name = quoted(name) // it may be a host with a port
	}
	out := "{" + t.Kind + ": " + name
	if t.Kind == definitions.OnOffer && t.State != campaign.OfferOpen {
		out += ", state: " + string(t.State)
	}
	if len(t.Where) > 0 {
		out += ", " + givenText(t.Where)
	}
	return out + "}"
}

func givenText(list []definitions.Given) string {
	out := make([]string, len(list))
	for i, g := range list {
		var m campaign.Money
		var s string
		switch {
		case json.Unmarshal(g.Value, &s) == nil:
		case json.Unmarshal(g.Value, &m) == nil:
			s = m.Decimal()
		default:
			s = string(g.Value)
		}
		out[i] = g.Property + ": " + quoted(s)
	}
	return strings.Join(out, ", ")
}

var plainText = regexp.MustCompile(`^[\p{L}\p{N}_.][\p{L}\p{N}_. -]*$`)

func quoted(s string) string {
	if plainText.MatchString(s) && !strings.HasSuffix(s, " ") {
		return s
	}
	return strconv.Quote(s)
}

func shareText(share int) string {
	return strconv.FormatFloat(float64(share)/(definitions.Million/100), 'f', -1, 64) + "%"
}

func spanText(s definitions.Span) string {
	if s.From == s.To {
		return campaign.FormatDuration(s.From)
	}
	return campaign.FormatDuration(s.From) + "-" + campaign.FormatDuration(s.To)
}

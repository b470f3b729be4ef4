package definitions

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var (
	waitShape      = shape{what: "a wait step", keys: []string{"wait"}}
	waitUntilShape = shape{what: "a wait", keys: []string{"until"}}
)

// wait reads a span, or {until: MOMENT}.
func (c *checker) wait(s *stepForm) campaign.Step {
	step := &campaign.Wait{StepCommon: s.common}
	if !s.value.isMapping() || c.looksLikeTemplate(s.value) {
		step.For, _ = c.duration(s.value)
		return step
	}
	const form = "write `wait: 24h`, or `wait: {until: \"next day 09:00\"}`"
	all, _ := c.fields(s.value, form)
	for _, f := range all {
		if f.name == "until" {
			c.until(s, step, f.value)
			continue
		}
		c.problem(f.key, "unknown-key", fmt.Sprintf("unknown key %q in %s", shorten(f.name), waitUntilShape.what), form)
	}
	if len(all) == 0 {
		c.wrongType(s.value, form)
	}
	return step
}

// expressionLike recognises what was meant as CEL: somebody's property, a call, or now.
// No moment of the calendar looks like it.
var expressionLike = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*[.(]|\bnow\b`)

const untilForm = campaign.CalendarForm + "; or a CEL expression that gives a time, such as offer.expires_at - duration(\"2h\")"

// until reads a moment of the calendar, or a CEL expression that gives one.
func (c *checker) until(s *stepForm, step *campaign.Wait, n node) {
	text, ok := c.text(n, untilForm)
	if !ok {
		return
	}
	when, err := campaign.ParseCalendar(text)
	switch {
	case err == nil:
		step.Until = strings.Join(strings.Fields(text), " ")
		if w := c.def.Window; w != nil && !when.Recurs() {
			if loc, err := c.def.Location(); err == nil && !when.Next(w.From, loc).After(w.From) {
				c.warn(n, "until-past", "nobody waits for this: it is before the window, in which members enter", "a moment that is past holds up nobody")
			}
		}
	case expressionLike.MatchString(text):
		step.At = s.condition(c, n, rules.WantType(campaign.TypeTime), s.journey.scope)
	default:
		hint := afterColon(err)
		if hint == campaign.CalendarForm {
			hint = untilForm
		}
		if near := nearMoment(text); near != "" {
			hint = fmt.Sprintf("did you mean %q? ", near) + hint
		}
		c.problem(n, "bad-until", upToColon(err), hint)
	}
}

// nearMoment finds what may have been meant: another word for a day, or a misspelt one.
func nearMoment(text string) string {
	words := strings.Fields(strings.ToLower(text))
	for i, w := range words {
		switch near := rules.Nearest(w, calendarWords); {
		case w == "tomorrow":
			words[i] = "next day"
		case w == "today", w == "on", w == "at", w == "every", w == "the" && (i == 0 || words[i-1] != "of"):
			words[i] = ""
		case near != "":
			words[i] = near
		}
	}
	near := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	if _, err := campaign.ParseCalendar(near); err != nil {
		if near += " 09:00"; near == " 09:00" {
			return ""
		}
		if _, err := campaign.ParseCalendar(near); err != nil {
			return ""
		}
	}
	return near
}

var calendarWords = []string{
	"next", "last", "day", "month", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
}

package definitions

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
)

// rule is how names of one sort are written.
type rule struct {
	what    string
	pattern *regexp.Regexp
	allowed string
}

// allows reports whether the rule allows a name.
func (r rule) allows(name string) bool {
	return r.pattern.MatchString(name) && len(name) <= maxEventName
}

// The names of the language.
var (
	campaignName = rule{
		"the name of a campaign", regexp.MustCompile(`^[a-z][a-z0-9-]{1,62}$`),
		"2 to 63 lower-case letters, digits and hyphens, beginning with a letter, such as fitness-trial",
	}
	plainName = rule{
		"a name", regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`),
		"1 to 40 lower-case letters, digits and hyphens, beginning with a letter, such as monthly-card",
	}
	attributeName = rule{
		"a name", regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`),
		"1 to 40 lower-case letters, digits and underscores, beginning with a letter, such as first_seen",
	}
	eventName = rule{
		"an event type", regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`),
		"at most 64 lower-case letters, digits, underscores and dots, such as order.paid",
	}
)

// maxEventName is how long the name of an event type may be, in bytes.
const maxEventName = 64

// name checks how a name is written.
func (c *checker) name(n node, r rule) (string, bool) {
	s, ok := c.text(n, "write a name: "+r.allowed)
	if !ok {
		return "", false
	}
	if !r.allows(s) {
		c.badName(n, r, s)
		return s, false
	}
	return s, true
}

func (c *checker) badName(n node, r rule, s string) {
	hint := "allowed: " + r.allowed
	if near := spell(s); near != "" && near != s && r.allows(near) {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	c.problem(n, "bad-name", fmt.Sprintf("%q cannot be used as %s", shorten(s), r.what), hint)
}

// spell brings a name close to what rules allow: Monthly Card becomes monthly-card.
func spell(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' {
			return '-'
		}
		return unicode.ToLower(r)
	}, s)
}

// entries reads a section: a mapping from names, written by the rule, to values. Names
// that break the rule are reported and passed on, so that their uses are known.
func (c *checker) entries(top object, section string, r rule, into *names) []field {
	n, ok := top.get(section)
	if !ok {
		return nil
	}
	if n.isNull() {
		c.problem(n, "wrong-type", fmt.Sprintf("%q is empty", section), "write at least one entry, or leave the key out")
		return nil
	}
	all, _ := c.fields(n, "write a mapping from names to their meaning")
	for _, f := range all {
		if !r.allows(f.name) {
			c.badName(f.key, r, f.name)
		}
		into.declare(f.name, f.key)
	}
	return all
}

// words reads a text for people, of at most so many characters.
func (c *checker) words(n node, most int) (string, bool) {
	s, ok := c.text(n, "write a text")
	switch {
	case !ok:
	case strings.TrimSpace(s) == "":
		c.problem(n, "empty-text", fmt.Sprintf("%q is empty", shorten(n.path.last())), "write a text")
		ok = false
	case utf8.RuneCountInString(s) > most:
		c.problem(n, "too-long", fmt.Sprintf("%q has %d characters", shorten(n.path.last()), utf8.RuneCountInString(s)),
			fmt.Sprintf("at most %d are allowed", most))
		ok = false
	}
	return s, ok
}

// oneOf reads one of a few words.
func oneOf[T ~string](c *checker, n node, words ...T) (T, bool) {
	known := make([]string, len(words))
	for i, w := range words {
		known[i] = string(w)
	}
	s, ok := c.text(n, "write one of "+list(known))
	if !ok {
		return "", false
	}
	for _, w := range words {
		if s == string(w) {
			return w, true
		}
	}
	c.unknown(n, "unknown-value", fmt.Sprintf("%q cannot be %q", shorten(n.path.last()), shorten(s)), s, known)
	return "", false
}

const durationForm = "write a number and a unit, such as 90s, 15m, 48h, 7d or 2w"

// duration reads a span that is longer than nothing.
func (c *checker) duration(n node) (time.Duration, bool) {
	s, ok := c.text(n, durationForm)
	if !ok {
		return 0, false
	}
	d, err := campaign.ParseDuration(s)
	if err != nil {
		c.problem(n, "bad-duration", upToColon(err), afterColon(err))
		return 0, false
	}
	if d == 0 {
		c.problem(n, "bad-duration", fmt.Sprintf("%q is no time at all", s), durationForm)
		return 0, false
	}
	return d, true
}

// money reads an amount from the text of the file, never through a float.
func (c *checker) money(n node) (campaign.Money, bool) {
	const form = "write digits with at most two decimal places, such as 9.90"
	s, ok := c.text(n, form)
	if !ok {
		return campaign.Money{}, false
	}
	m, err := campaign.ParseMoney(s, c.def.Currency)
	if err != nil {
		c.problem(n, "bad-money", upToColon(err), afterColon(err))
		return campaign.Money{}, false
	}
	if m.Minor < 0 {
		c.problem(n, "bad-money", fmt.Sprintf("%q is less than nothing", s), form)
		return campaign.Money{}, false
	}
	return m, true
}

// count reads a whole number from 1 to most.
func (c *checker) count(n node, most int64) (int64, bool) {
	form := fmt.Sprintf("write a whole number from 1 to %d", most)
	s, ok := c.text(n, form)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil || i < 1 || i > most || s[0] == '+' {
		c.problem(n, "bad-number", fmt.Sprintf("%q cannot be %q", shorten(n.path.last()), shorten(s)), form)
		return 0, false
	}
	return i, true
}

var timesShape = shape{what: "a limit", keys: []string{"times", "every"}}

// times reads {times: 3, every: 24h}; a number alone, or times without every, is for
// ever.
func (c *checker) times(n node) (*campaign.Times, bool) {
	if n.isScalar() {
		i, ok := c.count(n, maxCount)
		return &campaign.Times{Times: int(i)}, ok
	}
	o, ok := c.object(n, timesShape)
	if !ok {
		return nil, false
	}
	t := &campaign.Times{}
	if v, has := o.get("times"); has {
		var i int64
		i, ok = c.count(v, maxCount)
		t.Times = int(i)
	} else {
		c.missing(o, n, "the limit", "times", "write {times: 3, every: 24h}")
		ok = false
	}
	if v, has := o.get("every"); has {
		d, good := c.duration(v)
		t.Every, ok = d, ok && good
	}
	return t, ok
}

// Bounds of numbers: far above any campaign, far below what overflows.
const (
	maxCount  = 1_000_000_000
	maxPoints = 1_000_000_000_000
)

// upToColon and afterColon part an error of package campaign, `"x" is not a duration:
// why`, into what is wrong and what is allowed.
func upToColon(err error) string {
	s := err.Error()
	if i := strings.LastIndex(s, ": "); i >= 0 {
		s = s[:i]
	}
	return shortenQuoted(s)
}

func afterColon(err error) string {
	s := err.Error()
	return s[strings.LastIndex(s, ": ")+len(": "):]
}

// shortenQuoted shortens a message whose quotation is the long part.
func shortenQuoted(s string) string {
	runes := []rune(s)
	if len(runes) <= 120 {
		return s
	}
	return string(runes[:60]) + "…" + string(runes[len(runes)-30:])
}

package definitions

import (
	"errors"
	"fmt"
	"strconv"
	"time"
	_ "time/tzdata" // a container without zone files must know Asia/Shanghai too

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

// What holds for a campaign that says nothing else.
const (
	defaultTimezone = "Asia/Shanghai"
	defaultCurrency = campaign.Currency("CNY")
)

// maxTitle is how long titles may be, in characters.
const maxTitle = 200

// header reads language, campaign, title, timezone and currency.
func (c *checker) header(top object) {
	c.language(top)
	if v, ok := top.get("campaign"); ok {
		c.def.Name, _ = c.name(v, campaignName)
	} else {
		c.missing(top, top.node, "the file", "campaign", "write `campaign: NAME` first; allowed: "+campaignName.allowed)
	}
	if v, ok := top.get("title"); ok {
		c.def.Title, _ = c.words(v, maxTitle)
	} else {
		c.missing(top, top.node, "the campaign", "title", "write `title:` with the words that people know it by")
	}
	c.timezone(top)
	c.currency(top)
}

func (c *checker) language(top object) {
	c.def.Language = campaign.LanguageVersion
	v, ok := top.get("language")
	if !ok {
		return
	}
	known := strconv.Itoa(campaign.LanguageVersion)
	if s, ok := c.text(v, "write `language: "+known+"` or leave it out"); ok && s != known {
		c.problem(v, "unknown-language", fmt.Sprintf("language %q is not known", shorten(s)),
			"this version of Banyan reads language "+known)
	}
}

// zones are suggested for a misspelt timezone; every IANA name is allowed.
var zones = []string{
	"Asia/Shanghai", "Asia/Urumqi", "Asia/Hong_Kong", "Asia/Macau", "Asia/Taipei", "Asia/Singapore", "Asia/Kuala_Lumpur",
	"Asia/Bangkok", "Asia/Jakarta", "Asia/Manila", "Asia/Ho_Chi_Minh", "Asia/Tokyo", "Asia/Seoul", "Asia/Kolkata", "Asia/Dubai",
	"Australia/Sydney", "Europe/London", "Europe/Paris", "Europe/Berlin", "America/New_York", "America/Chicago",
	"America/Los_Angeles", "UTC",
}

func (c *checker) timezone(top object) {
	c.def.Timezone = defaultTimezone
	v, ok := top.get("timezone")
	if !ok {
		return
	}
	s, ok := c.text(v, "write an IANA name such as Asia/Shanghai")
	if !ok {
		return
	}
	// "Local" would mean another zone on every machine.
	if _, err := time.LoadLocation(s); err != nil || s == "" || s == "Local" {
		hint := "write an IANA name such as Asia/Shanghai, Asia/Hong_Kong or UTC"
		if near := rules.Nearest(s, zones); near != "" {
			hint = fmt.Sprintf("did you mean %q? %s", near, hint)
		}
		c.problem(v, "unknown-timezone", fmt.Sprintf("unknown timezone %q", shorten(s)), hint)
		return
	}
	c.def.Timezone = s
}

// currencies are those of campaign.Currency.Valid, in the order in which messages name
// them.
var currencies = []string{
	"CNY", "HKD", "MOP", "TWD", "SGD", "MYR", "THB", "USD", "EUR", "GBP", "AUD", "CAD", "NZD", "CHF",
}

func (c *checker) currency(top object) {
	c.def.Currency = defaultCurrency
	v, ok := top.get("currency")
	if !ok {
		return
	}
	s, ok := c.text(v, "write one of "+list(currencies))
	if !ok {
		return
	}
	if !campaign.Currency(s).Valid() {
		c.unknown(v, "unknown-currency", fmt.Sprintf("unknown currency %q", shorten(s)), s, currencies)
		return
	}
	c.def.Currency = campaign.Currency(s)
}

var windowShape = shape{what: "a window", keys: []string{"from", "until"}}

// window reads the span in which members may enter. The last day is meant to its end,
// so that the definition holds the midnight after it.
func (c *checker) window(top object) {
	v, ok := top.get("window")
	if !ok {
		return
	}
	o, ok := c.object(v, windowShape)
	if !ok {
		return
	}
	loc, err := time.LoadLocation(c.def.Timezone)
	if err != nil {
		c.problem(v, "unknown-timezone", err.Error(), "")
		return
	}
	w := &campaign.Window{}
	from, hasFrom := o.get("from")
	until, hasUntil := o.get("until")
	if !hasFrom && !hasUntil {
		c.missing(o, v, "the window", "from", "write {from: 2026-12-01, until: 2027-06-30}; one of the two is enough")
		return
	}
	good := true
	if hasFrom {
		w.From, _, good = c.moment(from, loc)
	}
	if hasUntil {
		t, wholeDay, ok := c.moment(until, loc)
		if wholeDay {
			t = t.AddDate(0, 0, 1)
		}
		w.Until, good = t, good && ok
	}
	if good && hasFrom && hasUntil && !w.From.Before(w.Until) {
		c.problem(until, "empty-window", "the window ends before it begins", "until is the last day on which members may enter; from is the first")
		return
	}
	c.def.Window = w
}

var errNoMoment = errors.New("no moment")

// moment reads a date, as the beginning of that day, or a full timestamp.
func (c *checker) moment(n node, loc *time.Location) (t time.Time, wholeDay, ok bool) {
	const form = "write a day such as 2026-12-01, or a moment such as 2026-12-01T09:00:00+08:00"
	s, ok := c.text(n, form)
	if !ok {
		return time.Time{}, false, false
	}
	t, wholeDay, err := parseMoment(s, loc)
	if err != nil || t.Year() < 1970 || t.Year() > 9000 {
		c.problem(n, "bad-date", fmt.Sprintf("%q is not a day", shorten(s)), form)
		return time.Time{}, false, false
	}
	return t, wholeDay, true
}

func parseMoment(s string, loc *time.Location) (t time.Time, wholeDay bool, err error) {
	if t, err = time.ParseInLocation(time.DateOnly, s, loc); err == nil {
		return t, true, nil
	}
	if t, err = time.Parse(time.RFC3339, s); err == nil {
		return t.In(loc), false, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err = time.ParseInLocation(layout, s, loc); err == nil {
			return t, false, nil
		}
	}
	return time.Time{}, false, errNoMoment
}

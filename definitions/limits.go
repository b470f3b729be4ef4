package definitions

import (
	"fmt"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

var (
	limitsShape = shape{what: "limits", keys: []string{"quiet_hours", "messages_per_member"}}
	quietShape  = shape{what: "quiet_hours", keys: []string{"from", "until"}}
)

// limits reads what holds for every message.
func (c *checker) limits(top object) {
	v, ok := top.get("limits")
	if !ok {
		return
	}
	o, ok := c.object(v, limitsShape)
	if !ok {
		return
	}
	if v, ok := o.get("quiet_hours"); ok {
		c.def.Limits.QuietHours = c.quietHours(v)
	}
	if v, ok := o.get("messages_per_member"); ok {
		c.def.Limits.MessagesPerMember, _ = c.times(v)
	}
}

func (c *checker) quietHours(n node) *campaign.QuietHours {
	o, ok := c.object(n, quietShape)
	if !ok {
		return nil
	}
	q := &campaign.QuietHours{}
	good := true
	for _, part := range []struct {
		key  string
		into *int
	}{{"from", &q.From}, {"until", &q.Until}} {
		v, ok := o.get(part.key)
		if !ok {
			c.missing(o, n, "quiet_hours", part.key, `write {from: "22:00", until: "08:00"}`)
			good = false
			continue
		}
		*part.into, ok = c.timeOfDay(v)
		good = good && ok
	}
	if good && q.From == q.Until {
		c.problem(n, "quiet-hours", "the quiet hours end when they begin", "leave them out if there are none; a whole day cannot be quiet")
	}
	return q
}

// timeOfDay reads minutes after midnight. YAML 1.1 takes 22:00 for a number to the
// base of sixty; here the text counts, quoted or not.
func (c *checker) timeOfDay(n node) (int, bool) {
	const form = `write hours and minutes, such as "22:00"`
	s, ok := c.text(n, form)
	if !ok {
		return 0, false
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		c.problem(n, "bad-time", fmt.Sprintf("%q is not a time of day", shorten(s)), form)
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

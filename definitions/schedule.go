package definitions

import (
	"strings"

	"github.com/banyanhq/banyan/campaign"
)

// schedule reads the moments of a start: a cron line, or what a wait until may say.
func (c *checker) schedule(n node) (string, bool) {
	text, ok := c.text(n, campaign.CalendarForm)
	if !ok {
		return "", false
	}
	if _, err := campaign.ParseCalendar(text); err != nil {
		c.problem(n, "bad-schedule", upToColon(err), afterColon(err))
		return "", false
	}
	return strings.Join(strings.Fields(text), " "), true
}

// onceBySchedule warns of a slip: a journey that begins every week, but for each member
// only once.
func (c *checker) onceBySchedule(j *journey) {
	for _, s := range j.def.Starts {
		if when, err := campaign.ParseCalendar(s.Schedule); err == nil && when.Recurs() {
			c.warn(j.key, "schedule-once", "this journey starts again and again, and each member enters it once",
				"write `entry: after_exit` if members may come again, or `entry: once` if they may not")
			return
		}
	}
}

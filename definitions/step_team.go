package definitions

import (
	"fmt"
	"strconv"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
)

var (
	teamStepShape = shape{what: "a team step", keys: []string{"team", "announce", "remind", "via", "formed", "failed"}, never: inventions}
	teamShape     = shape{what: "a team", keys: []string{"size", "within", "join"}, never: inventions}
)

func (c *checker) team(s *stepForm) campaign.Step {
	const form = "write {size: 3, within: 24h, join: start.team}"
	step := &campaign.FormTeam{StepCommon: s.common, Via: c.via(s.object)}
	if !s.value.isMapping() {
		c.wrongType(s.value, form)
		return nil
	}
	o, ok := c.object(s.value, teamShape)
	if v, has := o.get("size"); has {
		step.Size = c.teamSize(v)
	} else if ok {
		c.missing(o, s.self.key, "this team", "size", form)
	}
	if v, has := o.get("within"); has {
		step.Within, _ = c.duration(v)
	} else if ok {
		c.missing(o, s.self.key, "this team", "within", "every path must end: write how long a team has to come together, such as `within: 24h`")
	}
	if v, has := o.get("join"); has {
		step.Join = s.condition(c, v, rules.WantType(campaign.TypeString), s.journey.scope)
	} else if ok {
		c.warn(s.self.key, "team-never", "nobody can join: everybody opens a team of her own, and none is ever complete",
			"write where the code of the team stands that she wants to join, such as `join: start.team`")
	}
	if v, has := s.get("announce"); has {
		step.Announce = c.message(v, step.Via)
		s.self.offers = append(s.self.offers, offerUse{node: v, message: step.Announce})
	}
	if v, has := s.get("remind"); has {
		step.Remind = c.reminders(s.self, v, "a team's time", step.Within, step.Via)
		for i, r := range step.Remind {
			s.self.offers = append(s.self.offers, offerUse{node: s.self.reminders[i], message: r.Send})
		}
	}
	step.Formed = s.blockOf(c, "formed")
	step.Failed = s.blockOf(c, "failed")
	c.teamEvent()
	return step
}

// teamSize reads how many members make a team.
func (c *checker) teamSize(n node) int {
	form := fmt.Sprintf("write how many members make a team: %d to %d", campaign.MinTeam, campaign.MaxTeam)
	s, ok := c.text(n, form)
	if !ok {
		return 0
	}
	size, err := strconv.Atoi(s)
	if err != nil || size < campaign.MinTeam || size > campaign.MaxTeam {
		c.problem(n, "bad-number", fmt.Sprintf("%q cannot be %q", "size", shorten(s)), form)
		return 0
	}
	return size
}

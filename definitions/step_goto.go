package definitions

import (
	"fmt"

	"github.com/banyanhq/banyan/campaign"
)

var gotoShape = shape{what: "a goto step", keys: []string{"goto"}}

func (c *checker) jump(s *stepForm) campaign.Step {
	step := &campaign.Goto{StepCommon: s.common}
	var ok bool
	if step.Target, ok = c.text(s.value, "write the label of a step"); ok {
		s.journey.gotos = append(s.journey.gotos, s.self)
	}
	return step
}

// resolveGotos finds the steps that gotos jump to, when all labels of a journey are known.
func (c *checker) resolveGotos(j *journey) {
	labelled := map[string]*stepNode{}
	for _, s := range j.all {
		if s.label != "" {
			labelled[s.label] = s
		}
	}
	for _, s := range j.gotos {
		name := s.value.yaml.Value
		if s.target = labelled[name]; s.target == nil && !j.labels.use(name) {
			c.unknown(s.value, "unknown-label", fmt.Sprintf("no step of this journey has the label %q", shorten(name)), name, j.labels.order)
		}
		if s.target != nil {
			c.intoRepeat(s, name)
		}
		j.labels.use(name)
	}
}

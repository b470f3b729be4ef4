package main

import (
	"encoding/json"

	"github.com/banyanhq/banyan/compare"
	"github.com/banyanhq/banyan/definitions"
)

type diffCommand struct {
	Old string `arg:"" help:"The campaign file as it was; - is the standard input."`
	New string `arg:"" help:"The campaign file as it shall be."`
}

type differences struct {
	Campaign string           `json:"campaign"`
	Changes  []compare.Change `json:"changes"`
}

// Run says what changes from one campaign file to another.
func (c *diffCommand) Run(e *env, g *Globals) error {
	from, oldTests, err := checkedFile(e, c.Old)
	if err != nil {
		return err
	}
	to, newTests, err := checkedFile(e, c.New)
	if err != nil {
		return err
	}
	old, err := testsOf(oldTests)
	if err != nil {
		return err
	}
	now, err := testsOf(newTests)
	if err != nil {
		return err
	}
	d := differences{Campaign: to.Name, Changes: append(compare.Diff(from, to), compare.Tests(old, now)...)}
	if d.Changes == nil {
		d.Changes = []compare.Change{}
	}
	return output(e, g, d, func(p *printer) {
		for _, change := range d.Changes {
			p.line("%s", change.Text)
		}
		switch {
		case len(d.Changes) == 0:
			p.line("Nothing changes: the two files say the same.")
		default:
			p.line("\nMembers who are in a journey now finish it as it was when they entered.")
		}
	})
}

// testsOf gives tests as they are compared: without their places in the file, of which JSON
// knows nothing.
func testsOf(tests []definitions.Test) ([]compare.Test, error) {
	out := make([]compare.Test, len(tests))
	for i := range tests {
		body, err := json.Marshal(tests[i])
		if err != nil {
			return nil, err
		}
		out[i] = compare.Test{Name: tests[i].Name, Does: string(body)}
	}
	return out, nil
}

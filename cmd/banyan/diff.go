package main

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/compare"
	"github.com/banyanhq/banyan/definitions"
)

type diffCommand struct {
	Old string `arg:"" help:"The campaign file, or the file of its tests (NAME.test.yaml), as it was; - is the standard input."`
	New string `arg:"" help:"The file as it shall be."`
}

type differences struct {
	Campaign string           `json:"campaign"`
	Changes  []compare.Change `json:"changes"`
}

// Run says what changes from one campaign to another, with their tests.
func (c *diffCommand) Run(e *env, g *Globals) error {
	if strings.HasSuffix(c.Old, definitions.TestsSuffix) != strings.HasSuffix(c.New, definitions.TestsSuffix) {
		return usageError{"one is a campaign and the other a file of tests; compare two of the same sort"}
	}
	// Beside the standard input stands nothing, so what stands beside the other is not compared.
	besides := c.Old != "-" && c.New != "-"
	from, err := readCompared(e, c.Old, besides)
	if err != nil {
		return err
	}
	to, err := readCompared(e, c.New, besides)
	if err != nil {
		return err
	}
	d := differences{Campaign: to.def.Name}
	if !to.alone {
		d.Changes = compare.Diff(from.def, to.def)
	}
	d.Changes = append(d.Changes, compare.Tests(from.tests, to.tests)...)
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
		case !to.alone:
			p.line("\nMembers who are in a journey now finish it as it was when they entered.")
		}
	})
}

// compared is one side of a comparison.
type compared struct {
	def   *campaign.Definition
	tests []compare.Test
	alone bool // a file of tests, whose campaign is not compared
}

// readCompared reads a campaign with its tests, in the file and beside it, or a file of tests.
func readCompared(e *env, file string, besides bool) (out compared, err error) {
	main, beside, alone := testedBy(file)
	source, err := readTested(e, file, main)
	if err != nil {
		return out, err
	}
	def, tests, problems := definitions.Tests(main, source)
	if alone {
		tests = nil
	}
	if def != nil && besides {
		more, wrong, err := testsBeside(beside, def, alone)
		if err != nil {
			return out, err
		}
		tests, problems = append(tests, more...), append(problems, wrong...)
	}
	if problems.Refused() {
		_, _ = io.WriteString(e.Stderr, problems.Text(e.Color))
		return out, errSaid
	}
	list, err := testsOf(tests)
	return compared{def, list, alone}, err
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

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/simulate"
)

type testCommand struct {
	Files []string `arg:"" name:"file" help:"Campaign files, or files of tests (NAME.test.yaml) beside them."`
	Only  string   `help:"Run only the tests whose names match." placeholder:"REGEXP" name:"run"`
	Story bool     `help:"Tell every decision of every test."`
}

// tested is what became of one file's tests.
type tested struct {
	File     string               `json:"file"`
	OK       bool                 `json:"ok"`
	Problems definitions.Problems `json:"problems"`
	Tests    []*simulate.Verdict  `json:"tests"`

	stories []string
}

// Run runs the tests of campaigns without a server.
func (c *testCommand) Run(e *env, g *Globals) error {
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return usageError{fmt.Sprintf("--run: %v", err)}
	}
	results, failed := make([]tested, 0, len(c.Files)), false
	for _, file := range c.Files {
		r, err := testFile(e, file, only)
		if err != nil {
			return err
		}
		results, failed = append(results, r), failed || !r.OK
	}
	err = output(e, g, results, func(p *printer) {
		for i := range results {
			c.tell(e, p, &results[i])
		}
	})
	if err == nil && failed {
		return errSaid
	}
	return err
}

func (c *testCommand) tell(e *env, p *printer, r *tested) {
	if len(r.Problems) > 0 {
		_, p.err = io.WriteString(e.Stderr, r.Problems.Text(e.Color))
	}
	good := 0
	for i, v := range r.Tests {
		if c.Story {
			p.line("%s", r.stories[i])
		}
		if v.OK {
			good++
			continue
		}
		_, p.err = io.WriteString(e.Stderr, v.Failures.Text(e.Color))
	}
	switch {
	case r.Problems.Refused():
	case len(r.Tests) == 0:
		p.line("%s: no tests", r.File)
	case good == len(r.Tests):
		p.line("%s: ok, %s", r.File, plural(good, "test"))
	default:
		p.line("%s: FAILED, %d of %s", r.File, len(r.Tests)-good, plural(len(r.Tests), "test"))
	}
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// testFile reads a campaign with its tests, in the file and beside it, and runs them. Of a
// file of tests only those are run that stand in it.
func testFile(e *env, file string, only *regexp.Regexp) (tested, error) {
	r := tested{File: file, Problems: definitions.Problems{}, Tests: []*simulate.Verdict{}}
	if strings.HasSuffix(file, definitions.PopulationSuffix) {
		r.OK = true // it stands beside a campaign, and holds no tests
		return r, nil
	}
	main, beside, alone := testedBy(file)
	source, err := readTested(e, file, main)
	if err != nil {
		return r, err
	}
	def, tests, problems := definitions.Tests(main, source)
	r.Problems = append(r.Problems, problems...)
	if alone {
		tests = nil
	}
	if def == nil {
		return r, nil
	}
	if file != "-" {
		list, problems, err := testsBeside(beside, def, alone)
		if err != nil {
			return r, err
		}
		r.Problems, tests = append(r.Problems, problems...), append(tests, list...)
	}
	if r.Problems.Refused() {
		return r, nil
	}
	plan, err := simulate.NewPlan(def)
	if err != nil {
		return r, err
	}
	r.OK = true
	for i := range tests {
		if !only.MatchString(tests[i].Name) {
			continue
		}
		v, err := simulate.Verify(plan, &tests[i])
		if err != nil {
			return r, err
		}
		r.Tests, r.OK = append(r.Tests, v), r.OK && v.OK
		r.stories = append(r.stories, story(plan, v, language("", e.Getenv)))
	}
	return r, nil
}

// testedBy gives the campaign and the file of tests beside it; alone is set where the file is
// that one.
func testedBy(file string) (main, beside string, alone bool) {
	if name, ok := strings.CutSuffix(file, definitions.TestsSuffix); ok {
		return name + definitions.CampaignSuffix, file, true
	}
	return file, strings.TrimSuffix(file, definitions.CampaignSuffix) + definitions.TestsSuffix, false
}

// readTested reads the campaign that a file is, or of which it holds tests.
func readTested(e *env, file, main string) ([]byte, error) {
	source, err := readFile(e, main)
	if file != main && errors.Is(err, fs.ErrNotExist) {
		return nil, campaign.Errorf(campaign.CodeNotFound, "%s holds tests of %s, which is not there", file, main)
	}
	return source, err
}

// testsBeside reads a file of tests of a campaign, which may be missing unless it must be there.
func testsBeside(file string, def *campaign.Definition, must bool) ([]definitions.Test, definitions.Problems, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		if !must && errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil
		}
		return nil, nil, err
	}
	tests, problems := definitions.TestsBeside(file, source, def)
	return tests, problems, nil
}

func story(p *simulate.Plan, v *simulate.Verdict, lang campaign.Lang) string {
	var b strings.Builder
	b.WriteString(v.Name)
	for _, l := range v.Story {
		fmt.Fprintf(&b, "\n  %s  %s", l.At.In(p.Location()).Format("2006-01-02 15:04:05"), l.Words(lang))
	}
	return b.String()
}

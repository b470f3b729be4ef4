package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

type checkCommand struct {
	Files    []string `arg:"" name:"file" help:"Campaign files, or tests (NAME.test.yaml) and populations (NAME.population.yaml) beside them; - is the standard input."`
	Format   string   `enum:"text,json,github" default:"text" help:"text for people, json for programs, github for the annotations of a GitHub workflow."`
	Strict   bool     `help:"Let warnings refuse a file too."`
	Entrants int64    `placeholder:"N" help:"How many members are expected: says what each drive costs, and which one to use."`
	// SMSTemplates is a file as BANYAN_SMS_TEMPLATES_FILE names one.
	SMSTemplates string `name:"sms-templates" placeholder:"FILE" help:"The templates that your SMS provider has approved: says which messages that go by sms fit none of them, and refuses the file."`
}

type checked struct {
	File     string               `json:"file"`
	OK       bool                 `json:"ok"`
	Problems definitions.Problems `json:"problems"`
	Costs    []definitions.Cost   `json:"costs,omitempty"`
	// NoSMSTemplate are the messages that go by sms and fit no approved template.
	NoSMSTemplate []string `json:"no_sms_template,omitempty"`
}

// Run checks files without a server. A file that cannot be read is told, and the others
// are checked all the same.
func (c *checkCommand) Run(e *env, g *Globals) error {
	if g.JSON {
		if c.Format == "github" {
			return usageError{"--json and --format=github exclude each other"}
		}
		c.Format = "json"
	}
	results, failed := make([]checked, 0, len(c.Files)), false
	fits, err := smsTemplates(e, c.SMSTemplates)
	if err != nil {
		return err
	}
	for _, file := range c.Files {
		def, problems, err := checkFile(e, file)
		if err != nil {
			failed = true
			_, _ = fmt.Fprintln(e.Stderr, "banyan:", err)
			continue
		}
		if problems == nil {
			problems = definitions.Problems{}
		}
		result := checked{File: file, OK: !problems.Refused() && (!c.Strict || len(problems) == 0), Problems: problems}
		if def != nil && c.Entrants > 0 {
			result.Costs = definitions.Costs(def, c.Entrants)
		}
		if def != nil && fits != nil {
			result.NoSMSTemplate = fits(def)
			result.OK = result.OK && len(result.NoSMSTemplate) == 0
		}
		results = append(results, result)
	}
	switch c.Format {
	case "json":
		err = writeJSON(e.Stdout, results)
	case "github":
		p := &printer{w: e.Stdout}
		for _, r := range results {
			for _, problem := range r.Problems {
				p.line("%s", annotation(problem, c.Strict))
			}
			if len(r.NoSMSTemplate) > 0 {
				p.line("::error file=%s,title=no_sms_template::%s", commandProperty.Replace(r.File), commandData.Replace(noTemplate(r.NoSMSTemplate)))
			}
		}
		err = p.err
	default:
		err = c.text(e, results)
	}
	if err == nil && (failed || slices.ContainsFunc(results, func(r checked) bool { return !r.OK })) {
		return errSaid
	}
	return err
}

// checkFile checks a campaign; or, by its name, tests or a population that stand beside
// one, for which there is no definition.
func checkFile(e *env, file string) (*campaign.Definition, definitions.Problems, error) {
	source, err := readFile(e, file)
	if err != nil {
		return nil, nil, err
	}
	name, tests := strings.CutSuffix(file, definitions.TestsSuffix)
	population := false
	if !tests {
		name, population = strings.CutSuffix(file, definitions.PopulationSuffix)
	}
	if !tests && !population {
		def, problems := definitions.Check(file, source)
		return def, problems, nil
	}
	of := name + definitions.CampaignSuffix
	text, err := readFile(e, of)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, campaign.Errorf(campaign.CodeNotFound, "%s stands beside %s by its name, which is not there", file, of)
	}
	if err != nil {
		return nil, nil, err
	}
	def, _ := definitions.Check(of, text)
	if def == nil {
		return nil, nil, campaign.Errorf(campaign.CodeInvalid, "%s cannot be checked, because %s is refused", file, of)
	}
	if tests {
		_, problems := definitions.TestsBeside(file, source, def)
		return nil, problems, nil
	}
	_, problems := definitions.CheckPopulation(file, source, def)
	return nil, problems, nil
}

func (c *checkCommand) text(e *env, results []checked) error {
	p := &printer{w: e.Stdout}
	for _, r := range results {
		if len(r.Problems) > 0 && p.err == nil {
			_, p.err = io.WriteString(e.Stderr, r.Problems.Text(e.Color))
		}
		if len(r.NoSMSTemplate) > 0 && p.err == nil {
			_, p.err = fmt.Fprintf(e.Stderr, "%s: %s\n", r.File, noTemplate(r.NoSMSTemplate))
		}
		if r.OK {
			p.line("%s: ok", r.File)
		}
		for _, cost := range r.Costs {
			p.line("\n%s", strings.TrimSuffix(cost.Text(), "\n"))
		}
	}
	return p.err
}

// annotation is a problem as a workflow command, which GitHub shows beside the line.
func annotation(p definitions.Problem, strict bool) string {
	level := "error"
	if p.Warning && !strict {
		level = "warning"
	}
	place := "file=" + commandProperty.Replace(p.File)
	if p.Line > 0 {
		place += fmt.Sprintf(",line=%d,col=%d,endColumn=%d", p.Line, p.Column, p.Column+p.Width)
	}
	text := p.Message
	if p.Hint != "" {
		text += "\n" + p.Hint
	}
	return fmt.Sprintf("::%s %s,title=%s::%s", level, place, commandProperty.Replace(p.Check), commandData.Replace(text))
}

// What would end a workflow command, or a property of it, is written as its code.
var (
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

type schemaCommand struct{}

// Run prints the JSON Schema of campaign files.
func (schemaCommand) Run(e *env) error {
	_, err := e.Stdout.Write(definitions.Schema())
	return err
}

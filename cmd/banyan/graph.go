package main

import (
	"io"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/graph"
)

type graphCommand struct {
	File    string `arg:"" help:"The campaign file; - is the standard input."`
	Journey string `placeholder:"NAME" help:"Draw this journey alone."`
	Format  string `enum:"mermaid,svg" default:"mermaid" help:"mermaid for pages that draw it, svg for a picture."`
}

// Run draws the journeys of a campaign.
func (c *graphCommand) Run(e *env) error {
	def, err := checkedFile(e, c.File)
	if err != nil {
		return err
	}
	drawn, err := graph.Draw(def, c.Journey, graph.Format(c.Format))
	if err != nil {
		return err
	}
	_, err = io.WriteString(e.Stdout, drawn)
	return err
}

// checkedFile reads a campaign that has to be accepted. What refuses it is told.
func checkedFile(e *env, file string) (*campaign.Definition, error) {
	source, err := readFile(e, file)
	if err != nil {
		return nil, err
	}
	def, problems := definitions.Check(file, source)
	if problems.Refused() {
		_, _ = io.WriteString(e.Stderr, problems.Text(e.Color))
		return nil, errSaid
	}
	return def, nil
}

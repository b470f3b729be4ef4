package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
)

type eventsCommand struct {
	Send sendCommand `cmd:"" help:"Tell the events of a file, one JSON object a line."`
}

type sendCommand struct {
	File string `arg:"" help:"The NDJSON file; - is the standard input."`
}

// maxLine is the longest line of an events file.
const maxLine = 1 << 20

// Run tells events in batches. Sending a file again changes nothing: events have ids.
func (c *sendCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	file, done, err := open(e, c.File)
	if err != nil {
		return err
	}
	defer done()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	var total struct {
		Accepted   int `json:"accepted"`
		Duplicates int `json:"duplicates"`
	}
	err = batches(&lineReader{lines: lines}, func(first int, lines []byte) error {
		var answer starter.EventResults
		err := api.call(ctx, http.MethodPost, "/v1/events/batch", "application/x-ndjson", lines, &answer)
		total.Accepted += answer.Accepted
		total.Duplicates += answer.Duplicates
		return atLine(err, "events", first)
	})
	if err != nil {
		return fmt.Errorf("%s: %d events were accepted before: %w", c.File, total.Accepted, err)
	}
	return output(e, g, total, func(p *printer) { p.line("%d events accepted, %d known already", total.Accepted, total.Duplicates) })
}

// lineReader reads lines that are not empty.
type lineReader struct {
	lines *bufio.Scanner
	place int
}

func (l *lineReader) next() ([]byte, int, error) {
	for l.lines.Scan() {
		l.place++
		if line := bytes.TrimSpace(l.lines.Bytes()); len(line) > 0 {
			return slices.Clone(line), l.place, nil
		}
	}
	if err := l.lines.Err(); err != nil {
		return nil, 0, err
	}
	return nil, 0, io.EOF
}

type explainCommand struct {
	Member string `arg:"" help:"The member's id."`
	Lang   string `help:"The language: zh or en; that of LANG unless told." enum:",zh,en" default:""`
}

// Run tells a member's story.
func (c *explainCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	lang := language(c.Lang, e.Getenv)
	var answer starter.Explanation
	if err := api.get(ctx, starter.MemberURL(c.Member, "explain")+"?lang="+string(lang), &answer); err != nil {
		return err
	}
	if g.JSON {
		return writeJSON(e.Stdout, answer)
	}
	return starter.WriteExplanation(e.Stdout, &answer, lang)
}

// language is the one that is asked for, or that of the terminal.
func language(asked string, getenv func(string) string) campaign.Lang {
	for _, value := range []string{asked, getenv("LC_ALL"), getenv("LC_MESSAGES"), getenv("LANG")} {
		if value == "" {
			continue
		}
		if strings.HasPrefix(value, "zh") {
			return campaign.Chinese
		}
		return campaign.English
	}
	return campaign.English
}

type enterCommand struct {
	Campaign string `arg:"" help:"The campaign's name."`
	Journey  string `arg:"" help:"The journey's name."`
	Member   string `arg:"" help:"The member's id."`
}

// Run enters a member into a journey.
func (c *enterCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	var answer starter.EntryAnswer
	path := campaignPath(c.Campaign, "journeys", c.Journey, "entries")
	if err := api.post(ctx, path, starter.EntryRequest{Member: c.Member}, &answer); err != nil {
		return err
	}
	return output(e, g, answer, func(p *printer) { p.line("entered: %s", answer.WorkflowID) })
}

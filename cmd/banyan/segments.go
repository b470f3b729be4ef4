package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
)

type segmentsCommand struct {
	Campaign string `arg:"" help:"The campaign's name, or a campaign file that need not be submitted; - is the standard input."`
	Segment  string `arg:"" optional:"" help:"Of this segment alone."`
}

// Run says how many members the segments of a campaign hold now.
func (c *segmentsCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	var answer starter.SegmentsAnswer
	switch {
	case isFile(c.Campaign):
		if answer, err = c.ofFile(ctx, e, g, api); err != nil {
			return err
		}
	case c.Segment != "":
		var one starter.SegmentAnswer
		if err := api.get(ctx, campaignPath(c.Campaign, "segments", c.Segment), &one); err != nil {
			return err
		}
		answer = starter.SegmentsAnswer{Campaign: one.Campaign, Version: one.Version, Now: one.Now, Segments: []starter.SegmentCount{one.SegmentCount}}
	default:
		if err := api.get(ctx, campaignPath(c.Campaign, "segments"), &answer); err != nil {
			return err
		}
	}
	return output(e, g, answer, func(p *printer) {
		if answer.Members != nil {
			p.line("%s", plural(int(*answer.Members), "member"))
		}
		writeSegments(p, answer.Segments)
		if len(answer.Segments) == 0 {
			p.line("%s has no segments", answer.Campaign)
		}
	})
}

// isFile tells a file from a campaign's name, which has neither dots nor slashes.
func isFile(name string) bool { return name == "-" || strings.ContainsAny(name, `./\`) }

func (c *segmentsCommand) ofFile(ctx context.Context, e *env, g *Globals, api *client) (starter.SegmentsAnswer, error) {
	var answer starter.SegmentsAnswer
	source, err := readFile(e, c.Campaign)
	if err != nil {
		return answer, err
	}
	if answer, err = countSegments(ctx, e, g, api, c.Campaign, source); err != nil || c.Segment == "" {
		return answer, err
	}
	i := slices.IndexFunc(answer.Segments, func(s starter.SegmentCount) bool { return s.Segment == c.Segment })
	if i < 0 {
		return answer, campaign.Errorf(campaign.CodeNotFound, "%s has no segment %q", c.Campaign, c.Segment)
	}
	answer.Members, answer.Segments = nil, answer.Segments[i:i+1]
	return answer, nil
}

// countSegments asks the server about a text that need not be stored.
func countSegments(ctx context.Context, e *env, g *Globals, api *client, file string, source []byte) (answer starter.SegmentsAnswer, err error) {
	err = api.call(ctx, http.MethodPost, "/v1/segments/count", "application/yaml", source, &answer)
	return answer, refused(e, g, file, source, err)
}

// writeSegments writes a line for each segment.
func writeSegments(p *printer, list []starter.SegmentCount) {
	width := 0
	for i := range list {
		width = max(width, len(list[i].Segment))
	}
	for i := range list {
		s := &list[i]
		members := "not counted: it took too long"
		if s.Members != nil {
			members = plural(int(*s.Members), "member")
		}
		if len(s.Starts) > 0 {
			members += fmt.Sprintf(", who enter %s", strings.Join(s.Starts, ", "))
		}
		p.line("%-*s  %s", width, s.Segment, members)
	}
}

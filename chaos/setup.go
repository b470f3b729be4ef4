package main

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/chaos/judge"
)

//go:embed campaign.yaml
var template string

// setup is what the members walk.
type setup struct {
	factor  int64 // how many times as fast the campaigns' clocks run
	funnels []judge.Funnel
}

// newSetup splits a crowd over the campaigns. Stock and budget run out before the last
// who would have them, so that it shows whether they hold.
func newSetup(members int, factor int64, drives []string) *setup {
	s := &setup{factor: factor}
	each := members / len(drives)
	for _, drive := range drives {
		s.funnels = append(s.funnels, judge.Funnel{
			Campaign: "chaos-" + drive, Shop: drive, Sliced: drive == "slices",
			// Of twenty kinds nine want gear and twelve a card; on a bad day a third gets to it.
			Stock: max(1, each*2/20), Budget: int64(max(1, each*3/20)) * 100,
		})
	}
	return s
}

// source is the text of a version of a campaign.
func (s *setup) source(f *judge.Funnel, version int) []byte {
	drive := "members"
	if f.Sliced {
		drive = "slices"
	}
	return []byte(strings.NewReplacer("NAME", f.Campaign, "SHOP", f.Shop, "DRIVE", drive, "VERSION", strconv.Itoa(version),
		"STOCK", strconv.Itoa(f.Stock), "BUDGET", strconv.FormatInt(f.Budget, 10)).Replace(template))
}

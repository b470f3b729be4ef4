package turn

import (
	"context"
	"maps"
	"slices"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// lockTeams takes the rows of the teams about which turns will ask, all in one order and
// before any other row that members share. Members of a page come to their teams in any
// order; two pages that took the same two teams in opposite orders would wait for each
// other. The core is pure, so it is asked beforehand what it will want to know, with the
// answers that are likely. Where an answer is another, and leads to another team, two
// pages may meet after all: PostgreSQL breaks one of them off, and it is taken again.
func lockTeams(ctx context.Context, page *store.PageTx, list []*one) error {
	var codes []string
	first := true // the only team is asked about before anything else, and is all that is taken
	for _, o := range list {
		if !o.program.Teams(o.j.ID.Journey) && (o.to == nil || !o.to.Teams(o.j.ID.Journey)) {
			continue
		}
		in := o.in
		in.Answers = maps.Clone(o.in.Answers)
		for i := range foreseen {
			_, ask, err := o.step(o.state, in)
			if err != nil || ask == nil {
				break // what is wrong comes up again when the turn is taken
			}
			if t := ask.Team; t != nil && t.Code != "" && !slices.Contains(codes, t.Code) {
				codes = append(codes, t.Code)
				first = first && i == 0 && t.Buy == nil // buyers take stock as well: by some questions before the team, by others after it
			}
			in.Answers[ask.Key] = likely(ask)
		}
	}
	if len(codes) == 0 || len(list) == 1 && len(codes) == 1 && first {
		return nil
	}
	return page.LockTeams(ctx, codes)
}

// foreseen is how many questions of one turn are looked at beforehand.
const foreseen = 16

// likely is what will probably be answered.
func likely(ask *campaign.Ask) campaign.Answer {
	a := campaign.Answer{OK: true}
	if t := ask.Team; t != nil {
		a.Team = &campaign.Team{Code: t.Code, Size: t.Size, Joined: 1, EndsAt: t.EndsAt, State: campaign.TeamOpen}
		switch t.Do {
		case campaign.TeamClose:
			a.Team.State = campaign.TeamFailed
		case campaign.TeamLeave:
			a.Team.State = campaign.TeamWithdrawn
		case campaign.TeamJoin, campaign.TeamLook:
		}
	}
	return a
}

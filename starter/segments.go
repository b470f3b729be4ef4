package starter

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
	"github.com/banyanhq/banyan/store"
)

// SegmentCount is how many members a segment holds.
type SegmentCount struct {
	Segment string   `json:"segment"`
	When    string   `json:"when" doc:"Its condition"`
	Members *int64   `json:"members,omitempty" doc:"How many are in it now; absent where counting took too long"`
	Starts  []string `json:"starts,omitempty" doc:"Journeys that whoever is in it enters"`
}

// SegmentsAnswer is how many members the segments of a campaign hold.
type SegmentsAnswer struct {
	Campaign string         `json:"campaign"`
	Version  int            `json:"version,omitempty" doc:"Absent where the text is not stored"`
	Now      time.Time      `json:"now" doc:"On the campaign's clock"`
	Members  *int64         `json:"members,omitempty" doc:"How many there are in all; absent where counting took too long"`
	Segments []SegmentCount `json:"segments"`
}

// SegmentAnswer is how many members one segment holds.
type SegmentAnswer struct {
	Campaign string    `json:"campaign"`
	Version  int       `json:"version"`
	Now      time.Time `json:"now" doc:"On the campaign's clock"`
	SegmentCount
}

// countWithin is for how long one call counts. It waits no longer than that for another
// call that counts: a page that asks again and again reads the members once at a time.
const countWithin = 20 * time.Second

func (s *Server) registerSegments() {
	const path = "/v1/campaigns/{campaign}/segments"
	const detail = "By the version for new entrants. Nobody is held up by it: who changes meanwhile is counted as she was or as she is. " +
		"A call counts for 20 seconds at most."
	handle(s, operation{
		id: "list-segments", method: http.MethodGet, path: path, tag: tagCampaigns, scope: store.ScopeReportsRead,
		summary: "How many members each segment holds now", detail: detail, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *CampaignPath) (*answer[SegmentsAnswer], error) {
		v, err := s.store.CurrentVersion(ctx, in.Campaign)
		if err != nil {
			return nil, err
		}
		out, err := s.countSegments(ctx, v.Definition, v.Now, "")
		out.Version = v.Version
		return &answer[SegmentsAnswer]{out}, err
	})
	handle(s, operation{
		id: "get-segment", method: http.MethodGet, path: path + "/{segment}", tag: tagCampaigns, scope: store.ScopeReportsRead,
		summary: "How many members a segment holds now", detail: detail, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *struct {
		CampaignPath
		Segment string `path:"segment" maxLength:"63" doc:"The segment's name"`
	},
	) (*answer[SegmentAnswer], error) {
		v, err := s.store.CurrentVersion(ctx, in.Campaign)
		if err != nil {
			return nil, err
		}
		if _, ok := v.Definition.Segment(in.Segment); !ok {
			return nil, campaign.Errorf(campaign.CodeNotFound, "campaign %s has no segment %q", in.Campaign, in.Segment)
		}
		out, err := s.countSegments(ctx, v.Definition, v.Now, in.Segment)
		if err != nil {
			return nil, err
		}
		return &answer[SegmentAnswer]{SegmentAnswer{out.Campaign, v.Version, out.Now, out.Segments[0]}}, nil
	})
	handle(s, operation{
		id: "count-segments", method: http.MethodPost, path: "/v1/segments/count", tag: tagCampaigns, scope: store.ScopeCampaignsWrite,
		summary: "How many members the segments of a text hold now", errors: []int{http.StatusUnprocessableEntity},
		detail: "The text need not be stored, and nothing is stored. If there is a campaign of its name, its clock counts.",
		body:   textBody("The campaign, in YAML", map[string]*huma.Schema{"application/yaml": {Type: huma.TypeString}}),
	}, func(ctx context.Context, _ *struct{}) (*answer[SegmentsAnswer], error) {
		_, def, _, err := checkedBody(ctx)
		if err != nil {
			return nil, err
		}
		v, err := s.store.CurrentVersion(ctx, def.Name)
		if campaign.CodeOf(err) == campaign.CodeNotFound {
			v.Now, err = s.store.Now(ctx)
		}
		if err != nil {
			return nil, err
		}
		out, err := s.countSegments(ctx, def, v.Now, "")
		return &answer[SegmentsAnswer]{out}, err
	})
}

// countSegments counts the members in each segment, or in one of them.
func (s *Server) countSegments(ctx context.Context, def *campaign.Definition, now time.Time, only string) (SegmentsAnswer, error) {
	out := SegmentsAnswer{Campaign: def.Name, Now: now, Segments: []SegmentCount{}}
	env, issues := rules.New(def)
	if len(issues) > 0 { // another build accepted it
		return out, campaign.Errorf(campaign.CodeInternal, "campaign %s: %s", def.Name, issues[0])
	}
	within, cancel := context.WithTimeout(ctx, s.countWithin)
	defer cancel()
	select {
	case s.counting <- struct{}{}:
		defer func() { <-s.counting }()
	case <-within.Done():
	}
	// What could not be counted in time stays unknown, and what was is told.
	count := func(x *rules.Expr) (*int64, error) {
		if within.Err() != nil {
			return nil, ctx.Err()
		}
		n, err := s.countAudience(within, x, now)
		switch {
		case err == nil:
			return &n, nil
		case within.Err() != nil:
			return nil, ctx.Err()
		}
		return nil, err
	}
	var err error
	if only == "" {
		if out.Members, err = count(nil); err != nil {
			return out, err
		}
	}
	for _, seg := range def.Segments {
		if only != "" && seg.Name != only {
			continue
		}
		line := SegmentCount{Segment: seg.Name, When: seg.When, Starts: startedBySegment(def, seg.Name)}
		if x, ok := env.Segment(seg.Name); ok {
			if line.Members, err = count(x); err != nil {
				return out, err
			}
		}
		out.Segments = append(out.Segments, line)
	}
	return out, nil
}

func startedBySegment(def *campaign.Definition, segment string) (journeys []string) {
	for i := range def.Journeys {
		j := &def.Journeys[i]
		if slices.ContainsFunc(j.Starts, func(st campaign.Start) bool { return st.Segment == segment }) {
			journeys = append(journeys, j.Name)
		}
	}
	return journeys
}

// countPage is how many members are read at a time where their past has to be looked up.
const countPage = 1000

// countAudience counts the members for whom a condition holds; nil: all of them.
// PostgreSQL answers alone where it can; otherwise the condition is asked of each whom it
// lets through.
func (s *Server) countAudience(ctx context.Context, x *rules.Expr, now time.Time) (n int64, err error) {
	if x == nil {
		return s.store.CountAudience(ctx, store.Condition{SQL: "true"})
	}
	asked := x.Audience(now)
	c := store.Condition{SQL: asked.SQL, Args: asked.Args}
	if asked.Exact {
		return s.store.CountAudience(ctx, c)
	}
	holds := func(m *campaign.Member, past map[campaign.Behaviour]campaign.BehaviourValue) {
		// Who cannot be judged is not in it, as when she enters.
		if in, err := x.Bool(&rules.Facts{Now: now, Member: m, Behaviour: past}); err == nil && in {
			n++
		}
	}
	questions := x.Behaviours()
	if len(questions) == 0 {
		err = s.store.EachInAudience(ctx, c, func(m *campaign.Member) error { holds(m, nil); return nil })
		return n, err
	}
	for after := ""; ; {
		members, err := s.store.Audience(ctx, c, after, countPage)
		if err != nil {
			return n, err
		}
		pasts, err := s.store.PastOf(ctx, members, now, questions)
		if err != nil {
			return n, err
		}
		for i := range members {
			holds(&members[i], pasts[i])
		}
		if len(members) < countPage {
			return n, nil
		}
		after = members[len(members)-1].ID
	}
}

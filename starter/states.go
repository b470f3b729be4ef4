package starter

import (
	"context"
	"net/http"
	"time"

	"github.com/banyanhq/banyan/store"
)

// StartRequest is the body of a start; it may be left out.
type StartRequest struct {
	DemoClock *ClockRequest `json:"demo_clock,omitempty" doc:"Only where the server allows it (BANYAN_DEMO_CLOCK=allow)"`
}

// ClockRequest asks for a campaign clock that runs faster than real time.
type ClockRequest struct {
	Factor int64     `json:"factor" minimum:"1" maximum:"86400" doc:"How many times as fast"`
	From   time.Time `json:"from,omitzero" required:"false" doc:"What it shows at the start; the real time unless given"`
}

// EndRequest is the body of an end; it may be left out.
type EndRequest struct {
	Drain *bool `json:"drain,omitempty" doc:"true, as without a body: journeys in flight finish first; false: they end at once and their offers are withdrawn"`
}

// StateAnswer is a campaign's state after a change.
type StateAnswer struct {
	Campaign string      `json:"campaign"`
	State    store.State `json:"state" enum:"draft,running,paused,draining,ended"`
}

func (s *Server) registerStates() {
	op := func(verb, summary, detail string) operation {
		return operation{
			id: verb + "-campaign", method: http.MethodPost, path: "/v1/campaigns/{campaign}/" + verb, tag: tagCampaigns,
			scope: store.ScopeCampaignsWrite, summary: summary, detail: detail,
			errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
		}
	}
	handle(s, op("start", "Let members in", ""), s.start)
	handle(s, op("pause", "Send and grant nothing for now", "Waits and price locks go on counting."),
		func(ctx context.Context, in *CampaignPath) (*answer[StateAnswer], error) {
			return s.moved(ctx, in.Campaign, s.store.Pause(ctx, in.Campaign))
		})
	handle(s, op("resume", "Go on after a pause", "What fell due meanwhile runs, except reminders whose offer has ended."),
		func(ctx context.Context, in *CampaignPath) (*answer[StateAnswer], error) {
			return s.moved(ctx, in.Campaign, s.store.Resume(ctx, in.Campaign))
		})
	handle(s, operation{
		id: "resume-reward", method: http.MethodPost, path: "/v1/campaigns/{campaign}/rewards/{reward}/resume", tag: tagCampaigns,
		scope: store.ScopeCampaignsWrite, summary: "Give what a reward has kept back of its budget",
		detail: "Of a reward with pause_at. Again changes nothing; a version with another total or pause_at keeps back again.",
		errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *struct {
		CampaignPath
		Reward string `path:"reward" doc:"The name of the reward"`
	},
	) (*answer[StateAnswer], error) {
		return s.moved(ctx, in.Campaign, s.store.ResumeReward(ctx, in.Campaign, in.Reward))
	})
	handle(s, op("end", "Let nobody in any more", "The journeys in flight finish first, unless drain is false."),
		func(ctx context.Context, in *struct {
			CampaignPath
			Body *EndRequest `required:"false"`
		},
		) (*answer[StateAnswer], error) {
			// What cannot be taken back has to be said.
			drain := in.Body == nil || in.Body.Drain == nil || *in.Body.Drain
			return s.moved(ctx, in.Campaign, s.store.End(ctx, in.Campaign, drain))
		})
}

func (s *Server) start(ctx context.Context, in *struct {
	CampaignPath
	Body *StartRequest `required:"false"`
},
) (*answer[StateAnswer], error) {
	var demo *store.DemoClock
	if in.Body != nil && in.Body.DemoClock != nil {
		if !s.cfg.DemoClock {
			return nil, problem(http.StatusForbidden, "this server allows no demo clock; an operator sets BANYAN_DEMO_CLOCK=allow")
		}
		demo = &store.DemoClock{Factor: in.Body.DemoClock.Factor, From: in.Body.DemoClock.From}
	}
	return s.moved(ctx, in.Campaign, s.store.Start(ctx, in.Campaign, demo))
}

func (s *Server) moved(ctx context.Context, name string, err error) (*answer[StateAnswer], error) {
	if err != nil {
		return nil, err
	}
	state, err := s.store.CampaignState(ctx, name)
	return &answer[StateAnswer]{StateAnswer{name, state}}, err
}

package starter

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// EntryRequest enters a member into a journey.
type EntryRequest struct {
	Member     string                     `json:"member" minLength:"1" maxLength:"128"`
	Properties map[string]json.RawMessage `json:"properties,omitempty" doc:"What expressions read as start"`
}

// EntryAnswer is the journey that was entered.
type EntryAnswer struct {
	Journey    string `json:"journey" doc:"The journey's id"`
	WorkflowID string `json:"workflow_id" doc:"Where to find it in the Temporal web UI"`
}

// The router is what lets members in.
var _ Entrances = (*Router)(nil)

func (s *Server) registerEntries() {
	handle(s, operation{
		id: "enter-journey", method: http.MethodPost, path: "/v1/campaigns/{campaign}/journeys/{journey}/entries", tag: tagCampaigns,
		scope: store.ScopeCampaignsWrite, summary: "Enter a member into a journey that starts by API", status: http.StatusCreated, adds: true,
		detail: "409 says why a member may not enter: already in, the entry rule, the window, the state of the campaign.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, s.enter)
}

func (s *Server) enter(ctx context.Context, in *struct {
	CampaignPath
	Journey string `path:"journey" maxLength:"63"`
	Body    EntryRequest
},
) (*answer[EntryAnswer], error) {
	if s.cfg.Entrances == nil {
		return nil, campaign.Errorf(campaign.CodeUnavailable, "this server takes no entries")
	}
	if why := checkID(in.Body.Member); why != "" {
		return nil, campaign.Errorf(campaign.CodeInvalid, "the member's id cannot be used: %s", why)
	}
	var properties json.RawMessage
	if len(in.Body.Properties) > 0 {
		raw, err := json.Marshal(in.Body.Properties)
		if err != nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "the properties cannot be read")
		}
		if _, why := decodeObject(raw); why != "" {
			return nil, campaign.Errorf(campaign.CodeInvalid, "the properties cannot be kept: %s", why)
		}
		properties = raw
	}
	result, err := s.cfg.Entrances.Enter(ctx, in.Campaign, in.Journey, in.Body.Member, properties)
	if err != nil {
		return nil, err
	}
	if !result.Entered {
		return nil, problem(http.StatusConflict, result.Reason)
	}
	return &answer[EntryAnswer]{EntryAnswer{strconv.FormatInt(result.ID, 10), result.WorkflowID}}, nil
}

package starter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/store"
)

// SubmitAnswer says what became of a submitted definition.
type SubmitAnswer struct {
	Campaign string          `json:"campaign"`
	Version  int             `json:"version,omitempty" doc:"Absent when the definition was only checked"`
	Digest   string          `json:"digest" doc:"SHA-256 of the text"`
	New      bool            `json:"new" doc:"false: the same text was stored before and keeps its version"`
	Warnings []ProblemDetail `json:"warnings"`
}

// CampaignList is a page of campaigns.
type CampaignList struct {
	Campaigns []store.CampaignLine `json:"campaigns"`
	Next      string               `json:"next,omitempty"`
}

// VersionAnswer is one version with its text.
type VersionAnswer struct {
	Campaign   string          `json:"campaign"`
	Version    int             `json:"version"`
	Digest     string          `json:"digest"`
	CreatedAt  time.Time       `json:"created_at"`
	Source     string          `json:"source" doc:"The text as it was submitted"`
	Definition json.RawMessage `json:"definition" doc:"What was made of it"`
}

type answer[T any] struct {
	Body T
}

type statusAnswer[T any] struct {
	Status int
	Body   T
}

// CampaignPath names a campaign.
type CampaignPath struct {
	Campaign string `path:"campaign" maxLength:"63" doc:"The campaign's name"`
}

const tagCampaigns = "campaigns"

func (s *Server) registerCampaigns() {
	handle(s, operation{
		id: "submit-campaign", method: http.MethodPost, path: "/v1/campaigns", tag: tagCampaigns, scope: store.ScopeCampaignsWrite,
		summary: "Check a definition and store it as a new version",
		detail: "New entrants take the version that was submitted last; members in flight finish on theirs. The same text again " +
			"answers the same version, and makes it the one for new entrants again.",
		status: http.StatusCreated, errors: []int{http.StatusConflict, http.StatusUnprocessableEntity},
		body: textBody("The campaign, in YAML", map[string]*huma.Schema{"application/yaml": {Type: huma.TypeString}}),
	}, s.submit)
	handle(s, operation{
		id: "list-campaigns", method: http.MethodGet, path: "/v1/campaigns", tag: tagCampaigns, scope: store.ScopeReportsRead,
		summary: "List campaigns", errors: []int{http.StatusUnprocessableEntity},
	}, s.listCampaigns)
	handle(s, operation{
		id: "get-campaign", method: http.MethodGet, path: "/v1/campaigns/{campaign}", tag: tagCampaigns, scope: store.ScopeReportsRead,
		summary: "State, versions, and where the members stand", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *CampaignPath) (*answer[store.CampaignView], error) {
		view, err := s.store.Campaign(ctx, in.Campaign)
		return &answer[store.CampaignView]{view}, err
	})
	handle(s, operation{
		id: "get-campaign-version", method: http.MethodGet, path: "/v1/campaigns/{campaign}/versions/{version}", tag: tagCampaigns,
		scope: store.ScopeReportsRead, summary: "One version with its text", errors: []int{http.StatusNotFound},
	}, s.version)
}

type submitInput struct {
	Check bool `query:"check" doc:"Check alone, store nothing"`
}

// checkedBody reads and checks the campaign that is a call's body. Warnings alone are no
// error.
func checkedBody(ctx context.Context) ([]byte, *campaign.Definition, definitions.Problems, error) {
	source := bodyOf(ctx)
	if len(source) == 0 {
		return nil, nil, nil, problem(http.StatusUnprocessableEntity, "send the campaign's YAML as the body")
	}
	def, problems := definitions.Check("campaign.yaml", source)
	if problems.Refused() || def == nil {
		return nil, nil, nil, definitionProblem(problems)
	}
	return source, def, problems, nil
}

func (s *Server) submit(ctx context.Context, in *submitInput) (*statusAnswer[SubmitAnswer], error) {
	source, def, problems, err := checkedBody(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.reachable(def); err != nil {
		return nil, err
	}
	out := SubmitAnswer{Campaign: def.Name, Digest: campaign.Digest(source), Warnings: details(problems)}
	if in.Check {
		return &statusAnswer[SubmitAnswer]{http.StatusOK, out}, nil
	}
	stored, err := s.store.Submit(ctx, def, source)
	if err != nil {
		return nil, err
	}
	out.Version, out.New = stored.Version, stored.New
	return &statusAnswer[SubmitAnswer]{http.StatusCreated, out}, nil
}

// reachable refuses a campaign that sends by a channel which is not set up here.
func (s *Server) reachable(def *campaign.Definition) error {
	if s.cfg.Channels == nil {
		return nil
	}
	var wrong []ProblemDetail
	for _, name := range def.Vias() {
		if !slices.Contains(s.cfg.Channels, name) {
			wrong = append(wrong, ProblemDetail{
				Check: "channel-not-set-up", Message: fmt.Sprintf("the channel %q is not set up on this server", name),
				Hint: "set it up for the server and every worker, or leave it out of `via`; there is: " + strings.Join(s.cfg.Channels, ", "),
			})
		}
	}
	if len(wrong) > 0 {
		return problem(http.StatusUnprocessableEntity, "the campaign's messages could not go out", wrong...)
	}
	return nil
}

func (s *Server) listCampaigns(ctx context.Context, in *Page) (*answer[CampaignList], error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	list, err := s.store.Campaigns(ctx, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	part, next := cut(list, in.Limit, func(c store.CampaignLine) string { return c.Name })
	return &answer[CampaignList]{CampaignList{part, next}}, nil
}

func (s *Server) version(ctx context.Context, in *struct {
	CampaignPath
	Version int32 `path:"version" minimum:"1"`
},
) (*answer[VersionAnswer], error) {
	v, err := s.store.CampaignVersion(ctx, in.Campaign, int(in.Version))
	if err != nil {
		return nil, err
	}
	def, err := json.Marshal(v.Definition)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "write the definition: %w", err)
	}
	return &answer[VersionAnswer]{VersionAnswer{v.Campaign, v.Version, v.Digest, v.CreatedAt, v.Source, def}}, nil
}

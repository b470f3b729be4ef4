package starter

import (
	"context"
	"net/http"

	"github.com/banyanhq/banyan/store"
)

func (s *Server) registerReports() {
	handle(s, operation{
		id: "report", method: http.MethodGet, path: "/v1/campaigns/{campaign}/report", tag: tagCampaigns, scope: store.ScopeReportsRead,
		summary: "What the campaign did: funnel, messages, offers, rewards, goal and uplift", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *CampaignPath) (*answer[*store.Report], error) {
		report, err := s.store.Report(ctx, in.Campaign)
		return &answer[*store.Report]{report}, err
	})
}

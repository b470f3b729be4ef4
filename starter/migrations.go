package starter

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
)

// MigrationPlanRequest asks what a migration would mean.
type MigrationPlanRequest struct {
	Source  string                   `json:"source,omitempty" doc:"The campaign in YAML, which need not be stored; this or version"`
	Version int                      `json:"version,omitempty" minimum:"1" maximum:"2147483647" doc:"A stored version; the one for new entrants unless given"`
	Choices []campaign.MigrationRule `json:"choices,omitempty" doc:"What is to be done with whom; everybody is kept unless told"`
}

// MigrationRequest decides on a migration.
type MigrationRequest struct {
	Version int                      `json:"version,omitempty" minimum:"1" maximum:"2147483647" doc:"The version that it leads to; the one for new entrants unless given"`
	Choices []campaign.MigrationRule `json:"choices" minItems:"1" doc:"What is to be done with whom; of several that fit a step the one that names most counts, and everybody else is kept"`
}

// MigrationPlan is what a version means for who is in flight on another.
type MigrationPlan struct {
	Campaign string                `json:"campaign"`
	Version  int                   `json:"version,omitempty" doc:"Absent where the text is not stored yet"`
	Digest   string                `json:"digest" doc:"SHA-256 of the text"`
	Members  int64                 `json:"members" doc:"In flight on other versions"`
	Steps    []journey.PlannedStep `json:"steps" doc:"Where they stand"`
}

// MigrationList is a page of migrations.
type MigrationList struct {
	Migrations []store.Migration `json:"migrations"`
	Next       string            `json:"next,omitempty"`
}

// MigrationPath names a migration of a campaign.
type MigrationPath struct {
	CampaignPath
	Migration int64 `path:"migration" minimum:"1"`
}

func (s *Server) registerMigrations() {
	const path = "/v1/campaigns/{campaign}/migrations"
	handle(s, operation{
		id: "plan-migration", method: http.MethodPost, path: path + "/plan", tag: tagCampaigns, scope: store.ScopeCampaignsWrite,
		summary: "What another version would mean for the members in flight",
		detail:  "Changes nothing. The text need not be stored. Choices that cannot be followed are a 422 that names each.",
		errors:  []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, s.planMigration)
	handle(s, operation{
		id: "create-migration", method: http.MethodPost, path: path, tag: tagCampaigns, scope: store.ScopeCampaignsWrite,
		summary: "Bring members in flight to another version", status: http.StatusCreated,
		detail: "Recorded at once and worked off by the router, each journey once. Whoever is not named is kept on her version. " +
			"A campaign has one migration at a time.",
		errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, s.createMigration)
	handle(s, operation{
		id: "list-migrations", method: http.MethodGet, path: path, tag: tagCampaigns, scope: store.ScopeReportsRead,
		summary: "List a campaign's migrations", errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, s.listMigrations)
	handle(s, operation{
		id: "get-migration", method: http.MethodGet, path: path + "/{migration}", tag: tagCampaigns, scope: store.ScopeReportsRead,
		summary: "How far a migration has come", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *MigrationPath) (*answer[store.Migration], error) {
		m, err := s.store.Migration(ctx, in.Campaign, in.Migration)
		return &answer[store.Migration]{m}, err
	})
	handle(s, operation{
		id: "stop-migration", method: http.MethodPost, path: path + "/{migration}/stop", tag: tagCampaigns, scope: store.ScopeCampaignsWrite,
		summary: "Stop a migration that is under way", detail: "Who was moved by then stays moved.",
		errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *MigrationPath) (*answer[store.Migration], error) {
		if err := s.store.StopMigration(ctx, in.Campaign, in.Migration); err != nil {
			return nil, err
		}
		m, err := s.store.Migration(ctx, in.Campaign, in.Migration)
		return &answer[store.Migration]{m}, err
	})
	handle(s, operation{
		id: "revert-migration", method: http.MethodPost, path: path + "/{migration}/revert", tag: tagCampaigns, scope: store.ScopeCampaignsWrite,
		summary: "Take a migration's moves back", status: http.StatusCreated,
		detail: "For journeys that have taken no turn since. Recorded and worked off as a migration of its own. What the moves sent and granted stays sent and granted.",
		errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *MigrationPath) (*statusAnswer[store.Migration], error) {
		m, err := s.store.RevertMigration(ctx, in.Campaign, in.Migration)
		return &statusAnswer[store.Migration]{http.StatusCreated, m}, err
	})
}

func (s *Server) planMigration(ctx context.Context, in *struct {
	CampaignPath
	Body MigrationPlanRequest
},
) (*answer[MigrationPlan], error) {
	if in.Body.Source != "" && in.Body.Version != 0 {
		return nil, problem(http.StatusUnprocessableEntity, "send the text or name a version, not both")
	}
	out := MigrationPlan{Campaign: in.Campaign, Version: in.Body.Version}
	var def *campaign.Definition
	if source := []byte(in.Body.Source); len(source) > 0 {
		var problems definitions.Problems
		def, problems = definitions.Check("campaign.yaml", source)
		if problems.Refused() || def == nil {
			return nil, definitionProblem(problems)
		}
		if def.Name != in.Campaign {
			return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("the text is of campaign %s, the path names %s", def.Name, in.Campaign))
		}
		digests, err := s.store.VersionDigests(ctx, in.Campaign)
		if err != nil {
			return nil, err
		}
		out.Digest = campaign.Digest(source)
		for version, digest := range digests {
			if digest == out.Digest {
				out.Version = version
			}
		}
	}
	var err error
	out, _, err = s.plan(ctx, out, def, in.Body.Choices)
	return &answer[MigrationPlan]{out}, err
}

// plan works out what a migration means. The version is that of out, or the one for new
// entrants where it has none and there is no definition.
func (s *Server) plan(ctx context.Context, out MigrationPlan, def *campaign.Definition, rules []campaign.MigrationRule) (MigrationPlan, []campaign.MigrationChoice, error) {
	flight, err := s.store.Flight(ctx, out.Campaign, out.Version)
	if err != nil {
		return out, nil, err
	}
	if def == nil {
		if out.Version == 0 {
			out.Version = flight.Version
			if flight, err = s.store.Flight(ctx, out.Campaign, out.Version); err != nil {
				return out, nil, err
			}
		}
		def = flight.Definitions[out.Version]
		digests, err := s.store.VersionDigests(ctx, out.Campaign)
		if err != nil {
			return out, nil, err
		}
		out.Digest = digests[out.Version]
	}
	f := journey.Flight{Versions: flight.Definitions}
	for _, c := range flight.Steps {
		f.Stands = append(f.Stands, journey.Stand{Version: c.Version, Journey: c.Journey, Step: c.Step, Members: c.Members})
		if c.Version != out.Version {
			out.Members += c.Members
		}
	}
	steps, choices, problems := journey.PlanMigration(f, def, out.Version, rules)
	if len(problems) > 0 {
		details := make([]ProblemDetail, len(problems))
		for i, p := range problems {
			path := "choices[" + strconv.Itoa(p.Rule) + "]"
			if p.Field != "" {
				path += "." + p.Field
			}
			details[i] = ProblemDetail{Path: path, Message: p.Message, Hint: p.Hint}
		}
		return out, nil, problem(http.StatusUnprocessableEntity, "nobody is moved, because of what is wrong here", details[:min(len(details), maxDetails)]...)
	}
	out.Steps = notNil(steps)
	return out, choices, nil
}

func (s *Server) createMigration(ctx context.Context, in *struct {
	CampaignPath
	Body MigrationRequest
},
) (*statusAnswer[store.Migration], error) {
	plan, choices, err := s.plan(ctx, MigrationPlan{Campaign: in.Campaign, Version: in.Body.Version}, nil, in.Body.Choices)
	if err != nil {
		return nil, err
	}
	stand := int64(0)
	for _, step := range plan.Steps {
		if step.Choice.Do != campaign.MigrationKeep {
			stand += step.Members
		}
	}
	m, err := s.store.CreateMigration(ctx, in.Campaign, plan.Version, choices, stand)
	if err != nil {
		return nil, err
	}
	return &statusAnswer[store.Migration]{http.StatusCreated, m}, nil
}

func (s *Server) listMigrations(ctx context.Context, in *struct {
	CampaignPath
	Page
},
) (*answer[MigrationList], error) {
	after, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	list, err := s.store.Migrations(ctx, in.Campaign, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	part, next := cut(list, in.Limit, func(m store.Migration) string { return strconv.FormatInt(m.ID, 10) })
	return &answer[MigrationList]{MigrationList{part, next}}, nil
}

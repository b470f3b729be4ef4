package store

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Submitted says which version a text is.
type Submitted struct {
	Campaign string
	Version  int
	Digest   string
	New      bool // false: the text had been stored before
}

// Submit stores a checked definition with its text as a new version and makes it the
// one that new entrants take. A text that was stored before keeps its version; handing
// it in again is how one goes back to it. Limits of stock and budget are those of the
// version submitted last, for journeys of every version.
func (s *Store) Submit(ctx context.Context, def *campaign.Definition, source []byte) (Submitted, error) {
	out := Submitted{Campaign: def.Name, Digest: campaign.Digest(source)}
	body, err := json.Marshal(def)
	if err != nil {
		return out, campaign.Errorf(campaign.CodeInternal, "write the definition: %w", err)
	}
	err = s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if err := q.CreateCampaign(ctx, def.Name); err != nil {
			return err
		}
		row, err := q.LockCampaign(ctx, def.Name)
		if err != nil {
			return err
		}
		version, err := q.VersionByDigest(ctx, def.Name, out.Digest)
		out.New = errors.Is(err, pgx.ErrNoRows)
		over := State(row.State) == StateDraining || State(row.State) == StateEnded
		switch {
		case err != nil && !out.New:
			return err
		case out.New && over:
			return campaign.Errorf(campaign.CodeConflict, "campaign %s is %s and takes no new version; give the campaign another name", def.Name, row.State)
		case out.New:
			if err := sameKinds(ctx, q, def); err != nil {
				return err
			}
			if version, err = q.InsertVersion(ctx, def.Name, out.Digest, string(source), body); err != nil {
				return err
			}
		}
		out.Version = int(version)
		if over || row.Version == version {
			return nil
		}
		return makeCurrent(ctx, q, def, version)
	})
	if err != nil {
		return out, translate(err, "store the campaign")
	}
	return out, nil
}

func makeCurrent(ctx context.Context, q *db.Queries, def *campaign.Definition, version int32) error {
	if err := oneCalendar(ctx, q, def); err != nil {
		return err
	}
	if err := q.SetVersion(ctx, def.Name, version); err != nil {
		return err
	}
	// Before the stock, as everybody takes them; see PageTx.Answer.
	if err := q.LockBudgets(ctx, def.Name); err != nil {
		return err
	}
	for _, o := range def.Offers {
		limit := func() error { return q.SetStock(ctx, def.Name, o.Name, int32(min(o.Stock, math.MaxInt32-1))) }
		if o.Stock == 0 {
			limit = func() error { return q.LiftStock(ctx, def.Name, o.Name) }
		}
		if err := limit(); err != nil {
			return err
		}
	}
	for _, r := range def.Rewards {
		if err := q.SetBudget(ctx, db.SetBudgetParams{
			Campaign: def.Name, Reward: r.Name, Cap: limited(r.Budget), PerDay: limited(r.BudgetPerDay), PerMember: limited(r.BudgetPerMember), Asset: r.Asset(def.Name),
			PauseAt: r.PauseAt,
		}); err != nil {
			return err
		}
		if r.Coupon != nil && r.Coupon.Codes == campaign.CodesPool {
			if err := q.SetPool(ctx, def.Name, r.Name, r.Asset(def.Name), r.Coupon.LowWater); err != nil {
				return err
			}
		}
	}
	return nil
}

// oneCalendar refuses another timezone where a budget is of a day: members of all versions
// draw from it, and a day has to be the same for all of them.
func oneCalendar(ctx context.Context, q *db.Queries, def *campaign.Definition) error {
	daily := slices.ContainsFunc(def.Rewards, func(r campaign.Reward) bool { return r.BudgetPerDay > 0 })
	if !daily {
		var err error
		if daily, err = q.HasDailyBudget(ctx, def.Name); err != nil || !daily {
			return err
		}
	}
	other, err := q.OtherTimezone(ctx, def.Name, def.Timezone)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return campaign.Errorf(campaign.CodeConflict,
		"the timezone %s is not that of version %d, %s, and a budget per_day would be counted by two calendars; keep the timezone, or give the campaign another name",
		def.Timezone, other.Version, other.Timezone)
}

// limited makes of a limit of nothing that there is none.
func limited(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// CampaignLine is one line of the list of campaigns.
type CampaignLine struct {
	Name      string     `json:"campaign"`
	Title     string     `json:"title"`
	State     State      `json:"state" enum:"draft,running,paused,draining,ended"`
	Version   int        `json:"version" doc:"The version that new entrants take"`
	Digest    string     `json:"digest"`
	Active    int64      `json:"active" doc:"Journeys in flight"`
	CreatedAt time.Time  `json:"created_at"`
	StartedAt *time.Time `json:"started_at,omitempty"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

// Campaigns lists campaigns by name, those after the name given.
func (s *Store) Campaigns(ctx context.Context, after string, size int) ([]CampaignLine, error) {
	rows, err := s.queries.ListCampaigns(ctx, after, int32(size))
	if err != nil {
		return nil, translate(err, "list the campaigns")
	}
	out := make([]CampaignLine, len(rows))
	for i, r := range rows {
		out[i] = CampaignLine{
			r.Name, r.Title, State(r.State), int(r.Version), r.Digest, r.Active, r.CreatedAt, r.StartedAt, r.EndedAt,
		}
	}
	return out, nil
}

// CampaignView is a campaign with where its members stand.
type CampaignView struct {
	Name      string         `json:"campaign"`
	State     State          `json:"state" enum:"draft,running,paused,draining,ended"`
	Version   int            `json:"version" doc:"The version that new entrants take"`
	Clock     campaign.Clock `json:"clock"`
	Now       time.Time      `json:"now" doc:"On the campaign's clock"`
	CreatedAt time.Time      `json:"created_at"`
	StartedAt *time.Time     `json:"started_at,omitempty"`
	EndedAt   *time.Time     `json:"ended_at,omitempty"`
	Versions  []VersionLine  `json:"versions"`
	Counts    []StateCount   `json:"counts" doc:"Journeys by state and outcome"`
	InFlight  []StepCount    `json:"in_flight" doc:"Where members stand"`
}

// VersionLine is one version and how many came by it.
type VersionLine struct {
	Version   int       `json:"version"`
	Digest    string    `json:"digest"`
	CreatedAt time.Time `json:"created_at"`
	Entered   int64     `json:"entered"`
	Active    int64     `json:"active"`
}

// StateCount is how many journeys are in a state; those that are done have an outcome.
type StateCount struct {
	State   string `json:"state" enum:"active,done"`
	Outcome string `json:"outcome,omitempty"`
	Members int64  `json:"members"`
}

// StepCount is how many members stand at a step.
type StepCount struct {
	Version int    `json:"version"`
	Journey string `json:"journey"`
	Step    string `json:"step"`
	Name    string `json:"name"`
	Members int64  `json:"members"`
}

// Campaign reads one campaign.
func (s *Store) Campaign(ctx context.Context, name string) (view CampaignView, err error) {
	err = s.inSnapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		c, err := q.GetCampaign(ctx, name)
		if err != nil {
			return found(err, "campaign", name)
		}
		var now time.Time
		if err := tx.QueryRow(ctx, "select clock_timestamp()").Scan(&now); err != nil {
			return err
		}
		view = CampaignView{
			Name: c.Name, State: State(c.State), Version: int(c.Version), Clock: clockOf(c), Now: clockOf(c).At(now),
			CreatedAt: c.CreatedAt, StartedAt: c.StartedAt, EndedAt: c.EndedAt,
		}
		return view.fill(ctx, q)
	})
	return view, translate(err, "read the campaign")
}

func (v *CampaignView) fill(ctx context.Context, q *db.Queries) error {
	versions, err := q.ListVersions(ctx, v.Name)
	if err != nil {
		return err
	}
	for _, r := range versions {
		v.Versions = append(v.Versions, VersionLine{int(r.Version), r.Digest, r.CreatedAt, r.Entered, r.Active})
	}
	v.Counts, v.InFlight = []StateCount{}, []StepCount{}
	counts, err := q.OutcomeCounts(ctx, v.Name)
	if err != nil {
		return err
	}
	for _, r := range counts {
		v.Counts = append(v.Counts, StateCount{r.Status, r.Outcome, r.Members})
	}
	steps, err := q.InFlight(ctx, v.Name)
	if err != nil {
		return err
	}
	for _, r := range steps {
		v.InFlight = append(v.InFlight, StepCount{int(r.Version), r.Journey, r.Step, r.StepName, r.Members})
	}
	return nil
}

// Version is one stored version of a campaign.
type Version struct {
	Campaign   string
	Version    int
	Digest     string
	Source     string
	Definition *campaign.Definition
	CreatedAt  time.Time
}

// CampaignVersion reads one version with its text.
func (s *Store) CampaignVersion(ctx context.Context, name string, version int) (Version, error) {
	if _, err := s.queries.GetCampaign(ctx, name); err != nil {
		return Version{}, found(err, "campaign", name)
	}
	row, err := s.queries.GetVersion(ctx, name, int32(version))
	if errors.Is(err, pgx.ErrNoRows) {
		return Version{}, campaign.Errorf(campaign.CodeNotFound, "campaign %s has no version %d", name, version)
	}
	if err != nil {
		return Version{}, translate(err, "read the campaign version")
	}
	def, err := decodeDefinition(row.Definition)
	return Version{row.Campaign, int(row.Version), row.Digest, row.Source, def, row.CreatedAt}, err
}

// Current is the version of a campaign that new entrants take, and what its clock shows.
type Current struct {
	Version    int
	Definition *campaign.Definition
	Now        time.Time
}

// CurrentVersion reads the version that new entrants take.
func (s *Store) CurrentVersion(ctx context.Context, name string) (out Current, err error) {
	err = s.inSnapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		c, err := q.GetCampaign(ctx, name)
		if err != nil {
			return found(err, "campaign", name)
		}
		row, err := q.GetVersion(ctx, name, c.Version)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "select clock_timestamp()").Scan(&out.Now); err != nil {
			return err
		}
		out.Version, out.Now = int(c.Version), clockOf(c).At(out.Now)
		out.Definition, err = decodeDefinition(row.Definition)
		return err
	})
	return out, translate(err, "read the campaign")
}

// CampaignState reads a campaign's state.
func (s *Store) CampaignState(ctx context.Context, name string) (State, error) {
	c, err := s.queries.GetCampaign(ctx, name)
	return State(c.State), found(err, "campaign", name)
}

// CampaignDefinition reads the definition of a campaign's newest version.
func (s *Store) CampaignDefinition(ctx context.Context, name string) (*campaign.Definition, error) {
	c, err := campaignNow(ctx, s.queries, name)
	if err != nil {
		return nil, err
	}
	def, err := definition(ctx, s.queries, c.Digest)
	return def, translate(err, "read a campaign")
}

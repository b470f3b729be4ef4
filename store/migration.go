package store

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// MigrationState is the state of a migration.
type MigrationState string

// States of a migration.
const (
	MigrationRunning MigrationState = "running"
	MigrationDone    MigrationState = "done"
	MigrationStopped MigrationState = "stopped" // by hand: what it had moved by then stays moved
)

// Migration is a decision to bring members in flight to another version, and how far it
// has come. Each journey is come to once.
type Migration struct {
	ID       int64                      `json:"migration"`
	Campaign string                     `json:"campaign"`
	Version  int                        `json:"version" doc:"The version that it leads to; with reverts the one that it leads away from"`
	Reverts  int64                      `json:"reverts,omitempty" doc:"The migration whose moves it takes back"`
	State    MigrationState             `json:"state" enum:"running,done,stopped"`
	Choices  []campaign.MigrationChoice `json:"choices" doc:"Steps that are not among them are kept"`
	Found    int64                      `json:"found" doc:"Journeys that stood at these steps when it was decided"`
	Moved    int64                      `json:"moved"`
	Ended    int64                      `json:"ended"`
	Kept     int64                      `json:"kept" doc:"Come to, and left on their version: they had ended by then, or gone on to another step"`
	Failed   int64                      `json:"failed" doc:"Left on their version, because their turn could not be taken; the worker's log says why"`
	// KeptWhy counts those that were kept by reason; it is read with a single migration.
	KeptWhy   map[string]int64 `json:"kept_why,omitempty" doc:"By reason: over, ending, moved_on, withdrawn, failed"`
	CreatedAt time.Time        `json:"created_at"`
	DoneAt    *time.Time       `json:"done_at,omitempty"`
}

func migrationOf(r db.Migration) (Migration, error) {
	m := Migration{
		ID: r.ID, Campaign: r.Campaign, Version: int(r.Version), State: MigrationState(r.State), Found: r.Found, Moved: r.Moved, Ended: r.Ended,
		Kept: r.Kept, Failed: r.Failed, CreatedAt: r.CreatedAt, DoneAt: r.DoneAt,
	}
	if r.Reverts != nil {
		m.Reverts = *r.Reverts
	}
	if err := json.Unmarshal(r.Choices, &m.Choices); err != nil {
		return m, campaign.Errorf(campaign.CodeInternal, "the choices of migration %d cannot be read: %w", r.ID, err)
	}
	return m, nil
}

// Flight is where the members of a campaign stand, with the definitions of the versions
// that they are on, as of one moment.
type Flight struct {
	State       State
	Version     int // the one that new entrants take
	Steps       []StepCount
	Definitions map[int]*campaign.Definition
}

// Flight reads where members stand. The definition of version is among the definitions,
// whoever is on it; 0 asks for none besides.
func (s *Store) Flight(ctx context.Context, name string, version int) (f Flight, err error) {
	err = s.inSnapshot(ctx, func(_ pgx.Tx, q *db.Queries) error {
		f = Flight{Definitions: map[int]*campaign.Definition{}}
		c, err := q.GetCampaign(ctx, name)
		if err != nil {
			return found(err, "campaign", name)
		}
		f.State, f.Version = State(c.State), int(c.Version)
		steps, err := q.InFlight(ctx, name)
		if err != nil {
			return err
		}
		for _, r := range steps {
			f.Steps = append(f.Steps, StepCount{int(r.Version), r.Journey, r.Step, r.StepName, r.Members})
		}
		versions, err := q.FlightVersions(ctx, name, int32(version))
		if err != nil {
			return err
		}
		for _, v := range versions {
			if f.Definitions[int(v.Version)], err = decodeDefinition(v.Definition); err != nil {
				return err
			}
		}
		if version != 0 && f.Definitions[version] == nil {
			return campaign.Errorf(campaign.CodeNotFound, "campaign %s has no version %d", name, version)
		}
		return nil
	})
	return f, translate(err, "read where members stand")
}

// CreateMigration records the decision to bring members to a version. Routers work it
// off. A campaign has at most one that is under way.
func (s *Store) CreateMigration(ctx context.Context, name string, version int, choices []campaign.MigrationChoice, stand int64) (m Migration, err error) {
	data, err := json.Marshal(notNull(choices))
	if err != nil {
		return m, campaign.Errorf(campaign.CodeInternal, "write the choices: %w", err)
	}
	return s.recordMigration(ctx, name, func(q *db.Queries) (db.Migration, error) {
		return q.InsertMigration(ctx, name, int32(version), data, stand)
	})
}

// RevertMigration records the decision to take the moves of a migration back, for those
// who have taken no turn since.
func (s *Store) RevertMigration(ctx context.Context, name string, id int64) (Migration, error) {
	return s.recordMigration(ctx, name, func(q *db.Queries) (db.Migration, error) {
		m, err := q.GetMigration(ctx, name, id)
		if err != nil {
			return m, found(err, "migration", strconv.FormatInt(id, 10))
		}
		if m.Reverts != nil {
			return m, campaign.Errorf(campaign.CodeConflict, "migration %d takes migration %d back; bring members over by a new one", id, *m.Reverts)
		}
		return q.InsertReversal(ctx, id)
	})
}

// recordMigration inserts a migration where the campaign may have one now.
func (s *Store) recordMigration(ctx context.Context, name string, insert func(*db.Queries) (db.Migration, error)) (m Migration, err error) {
	err = s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		c, err := q.LockCampaign(ctx, name)
		if err != nil {
			return found(err, "campaign", name)
		}
		if State(c.State) == StateEnded {
			return campaign.Errorf(campaign.CodeConflict, "campaign %s is ended: nobody is in flight", name)
		}
		switch id, err := q.RunningMigration(ctx, name); {
		case err == nil:
			return campaign.Errorf(campaign.CodeConflict, "migration %d of campaign %s is under way; wait until it is done, or stop it", id, name)
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		row, err := insert(q)
		if err == nil {
			m, err = migrationOf(row)
		}
		return err
	})
	if err != nil {
		return m, translate(err, "record the migration")
	}
	s.Notify()
	return m, nil
}

// StopMigration stops one that is under way, behind the page at work.
func (s *Store) StopMigration(ctx context.Context, name string, id int64) error {
	n, err := s.queries.StopMigration(ctx, name, id)
	if err != nil {
		return translate(err, "stop the migration")
	}
	if n > 0 {
		return nil
	}
	m, err := s.Migration(ctx, name, id)
	if err != nil {
		return err
	}
	return campaign.Errorf(campaign.CodeConflict, "migration %d of campaign %s is %s already", id, name, m.State)
}

// Migration reads one migration of a campaign.
func (s *Store) Migration(ctx context.Context, name string, id int64) (m Migration, err error) {
	err = s.inSnapshot(ctx, func(_ pgx.Tx, q *db.Queries) error {
		row, err := q.GetMigration(ctx, name, id)
		if err != nil {
			return found(err, "migration", strconv.FormatInt(id, 10))
		}
		if m, err = migrationOf(row); err != nil {
			return err
		}
		reasons, err := q.KeptReasons(ctx, id)
		if err != nil {
			return err
		}
		for _, r := range reasons {
			if m.KeptWhy == nil {
				m.KeptWhy = map[string]int64{}
			}
			m.KeptWhy[r.Reason] = r.Journeys
		}
		return nil
	})
	return m, translate(err, "read the migration")
}

// Migrations lists a campaign's migrations, those after the id given.
func (s *Store) Migrations(ctx context.Context, name string, after int64, size int) ([]Migration, error) {
	if _, err := s.queries.GetCampaign(ctx, name); err != nil {
		return nil, translate(found(err, "campaign", name), "list the migrations")
	}
	rows, err := s.queries.ListMigrations(ctx, name, after, int32(size))
	if err != nil {
		return nil, translate(err, "list the migrations")
	}
	out := make([]Migration, len(rows))
	for i, r := range rows {
		if out[i], err = migrationOf(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// MigrationWork is a migration that is under way.
type MigrationWork struct {
	Migration
	Digest string // of the version that it leads to
	Cursor int64
	Paused bool // its campaign is
}

// MigrationsToDo lists the migrations that are under way.
func (s *Store) MigrationsToDo(ctx context.Context) ([]MigrationWork, error) {
	rows, err := s.queries.RunningMigrations(ctx)
	if err != nil {
		return nil, translate(err, "look for migrations")
	}
	out := make([]MigrationWork, len(rows))
	for i, r := range rows {
		m, err := migrationOf(db.Migration{
			ID: r.ID, Campaign: r.Campaign, Version: r.Version, Choices: r.Choices, State: r.State, Reverts: r.Reverts, Cursor: r.Cursor,
			Found: r.Found, Moved: r.Moved, Ended: r.Ended, Kept: r.Kept, Failed: r.Failed, CreatedAt: r.CreatedAt, DoneAt: r.DoneAt,
		})
		if err != nil {
			return nil, err
		}
		out[i] = MigrationWork{Migration: m, Digest: r.Digest, Cursor: r.Cursor, Paused: State(r.CampaignState) == StatePaused}
	}
	return out, nil
}

// VersionDigests lists the versions of a campaign with their digests.
func (s *Store) VersionDigests(ctx context.Context, name string) (map[int]string, error) {
	rows, err := s.queries.VersionDigests(ctx, name)
	out := make(map[int]string, len(rows))
	for _, r := range rows {
		out[int(r.Version)] = r.Digest
	}
	return out, translate(err, "list the versions")
}

// Who stands where something was chosen, and has not been come to yet. One who has taken
// no turn stands before the first step, which is how her choice is written.
const toMigrateSQL = `
select j.id, j.member
  from journeys j
  join unnest($3::int[], $4::text[], $5::text[]) as c (version, journey, step)
    on j.version = c.version and j.journey = c.journey and j.step = c.step
 where j.campaign = $1 and j.status = 'active' and j.id > $2
   and not exists (select from migration_moves d where d.migration = $6 and d.journey = j.id)
 order by j.id limit $7`

// ToMigrate lists the next journeys to which a migration has not come, up to most, in
// pages of a size. No page holds two journeys of a member: the turn of one may change
// what the other's must know. first names, for each version and journey, the step at
// which a journey stands that has taken no turn.
func (s *Store) ToMigrate(ctx context.Context, w *MigrationWork, first func(version int, journey string) string, most, size int) ([][]int64, error) {
	list := paged{size: size}
	if w.Reverts != 0 {
		rows, err := s.queries.ToRevert(ctx, w.Reverts, w.Cursor, w.ID, int32(most))
		for _, r := range rows {
			list.add(r.ID, r.Member)
		}
		return list.pages, translate(err, "list the journeys to bring back")
	}
	var (
		versions        []int32
		journeys, steps []string
	)
	for _, c := range w.Choices {
		versions, journeys, steps = append(versions, int32(c.Version)), append(journeys, c.Journey), append(steps, c.Step)
		if first(c.Version, c.Journey) == c.Step {
			versions, journeys, steps = append(versions, int32(c.Version)), append(journeys, c.Journey), append(steps, "")
		}
	}
	rows, err := s.pool.Query(ctx, toMigrateSQL, w.Campaign, w.Cursor, versions, journeys, steps, w.ID, most)
	if err != nil {
		return nil, translate(err, "list the journeys to migrate")
	}
	var (
		id     int64
		member string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &member}, func() error { list.add(id, member); return nil })
	return list.pages, translate(err, "list the journeys to migrate")
}

// paged cuts a list of journeys into pages.
type paged struct {
	size    int
	pages   [][]int64
	members map[string]bool // of the last page
}

func (p *paged) add(id int64, member string) {
	last := len(p.pages) - 1
	if last < 0 || len(p.pages[last]) == p.size || p.members[member] {
		p.pages, p.members = append(p.pages, nil), map[string]bool{}
		last++
	}
	p.members[member] = true
	p.pages[last] = append(p.pages[last], id)
}

// PassMigration says that a migration has come to the end of the journeys' rows. One that
// had found somebody on its way begins again, because others may have come to one of its
// steps meanwhile; else it is done. It reports whether it is.
func (s *Store) PassMigration(ctx context.Context, w *MigrationWork) (done bool, err error) {
	if w.Cursor > 0 {
		return false, translate(s.queries.PassMigration(ctx, w.ID, w.Cursor), "go on with a migration")
	}
	n, err := s.queries.FinishMigration(ctx, w.ID)
	return n > 0, translate(err, "finish a migration")
}

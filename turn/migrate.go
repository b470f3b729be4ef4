package turn

import (
	"context"
	"log/slog"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
)

const (
	// migratePage is how many members one transaction of a migration locks and turns. Each
	// turn may send and withdraw, so it is less than a page of a slice.
	migratePage = 200
	// migrateList is how many are listed at once: who stands at a step may have to be
	// looked for among all who are in flight, which is not done for every page.
	migrateList = 10_000
)

// Migrate does some pages of each migration that is under way. It answers to how many
// journeys it came; a migration that another process works off is left to it.
//
// Each journey takes its next turn, on behalf of whoever drives it, in the same
// transaction in which it is written that it was come to. So a process that dies in the
// middle leaves nothing half done, and none is come to twice. The journey's workflow is
// poked, asks for that very turn, and is answered with what was decided.
func (t *Taker) Migrate(ctx context.Context) (n int, err error) {
	list, err := t.Store.MigrationsToDo(ctx)
	if err != nil {
		return 0, err
	}
	var held error
	for i := range list {
		did, err := t.migrateSome(ctx, &list[i])
		if n += did; err != nil && held == nil {
			held = err // of one campaign that cannot be loaded; the others go on
		}
	}
	return n, held
}

func (t *Taker) migrateSome(ctx context.Context, w *store.MigrationWork) (int, error) {
	m := &migrating{taker: t, work: w, digests: map[int]string{}, plans: map[planKey]*journey.Migration{}}
	if err := m.load(ctx); err != nil {
		return 0, &BrokenError{Campaign: w.Campaign, err: err}
	}
	pages, err := t.Store.ToMigrate(ctx, w, m.first, migrateList, migratePage)
	if err != nil {
		return 0, err
	}
	if len(pages) == 0 {
		_, err := t.Store.PassMigration(ctx, w)
		if w.Cursor > 0 {
			return 1, err // it begins another pass
		}
		return 0, err
	}
	for _, rows := range pages {
		came := m.came
		if err := wholeOrEach(ctx, rows, func(rows []int64) error { return m.page(ctx, rows, nil) }, m.impossible(ctx)); err != nil || m.came == came {
			return m.came, err // another works it off, or it was stopped
		}
	}
	return m.came, nil
}

// impossible writes down one of whom no turn can be taken.
func (m *migrating) impossible(ctx context.Context) func(row int64, err error) error {
	return func(row int64, err error) error {
		if m.taker.Log != nil {
			m.taker.Log.ErrorContext(ctx, "a journey could not be brought to another version; it stays on its own",
				slog.Int64("migration", m.work.ID), slog.Int64("journey", row), slog.Any("code", campaign.CodeOf(err)), slog.Any("error", err))
		}
		return m.page(ctx, []int64{row}, &campaign.Migrated{Do: campaign.MigrationKeep, Kept: campaign.KeptFailed})
	}
}

// migrating is a migration while some pages of it are done.
type migrating struct {
	taker   *Taker
	work    *store.MigrationWork
	to      *journey.Program
	digests map[int]string // of the campaign's versions
	from    map[int]*journey.Program
	plans   map[planKey]*journey.Migration
	moves   map[int64]store.Move // of a page that is brought back
	came    int                  // to so many journeys
}

type planKey struct {
	version, to int
	journey     string
}

// load finds the programs of all versions that the migration leaves, and of the one that
// it leads to.
func (m *migrating) load(ctx context.Context) (err error) {
	if m.to, err = m.taker.Programs.Program(ctx, m.taker.Store, m.work.Digest); err != nil {
		return err
	}
	if m.digests, err = m.taker.Store.VersionDigests(ctx, m.work.Campaign); err != nil {
		return err
	}
	m.from = map[int]*journey.Program{}
	for _, c := range m.work.Choices {
		if _, err := m.program(ctx, m.taker.Store, c.Version); err != nil {
			return err
		}
	}
	return nil
}

func (m *migrating) first(version int, name string) string {
	if p := m.from[version]; p != nil {
		return p.First(name)
	}
	return ""
}

// prepare says what is to be done with a journey of a page.
func (m *migrating) prepare(ctx context.Context, page *store.PageTx, o *one) (err error) {
	to, digest := m.work.Version, m.work.Digest
	o.to = m.to
	if m.work.Reverts != 0 {
		move := m.moves[o.j.RowID]
		before, err := journey.LoadState(move.State)
		if err != nil {
			return err
		}
		o.before, to, digest = &before, move.Version, move.Digest
		if o.to, err = m.program(ctx, page, move.Version); err != nil {
			return err
		}
	}
	o.migration, err = m.plan(ctx, page, planKey{o.j.Version, to, o.j.ID.Journey}, o.to, digest)
	return err
}

// program finds the program of one of the campaign's versions, by the connection of the
// open transaction where there is one.
func (m *migrating) program(ctx context.Context, source Definitions, version int) (*journey.Program, error) {
	if m.from[version] == nil {
		p, err := m.taker.Programs.Program(ctx, source, m.digests[version])
		if err != nil {
			return nil, &BrokenError{Campaign: m.work.Campaign, err: err}
		}
		m.from[version] = p
	}
	return m.from[version], nil
}

// plan is what the migration does with the members of a journey who are on a version.
func (m *migrating) plan(ctx context.Context, source Definitions, key planKey, to *journey.Program, digest string) (*journey.Migration, error) {
	if m.plans[key] == nil {
		var choices []campaign.MigrationChoice
		for _, c := range m.work.Choices {
			if c.Version == key.version && c.Journey == key.journey {
				choices = append(choices, c)
			}
		}
		from, err := m.program(ctx, source, key.version)
		if err != nil {
			return nil, err
		}
		if m.plans[key], err = journey.NewMigration(from, to, key.journey, key.to, digest, choices); err != nil {
			delete(m.plans, key)
			return nil, err
		}
	}
	return m.plans[key], nil
}

// page brings a page of journeys to the other version, in one transaction; with failed it
// writes that of all of them.
func (m *migrating) page(ctx context.Context, rows []int64, failed *campaign.Migrated) error {
	taken := false
	err := m.taker.Store.InTurns(ctx, rows, func(page *store.PageTx) (err error) {
		// In a worker Temporal catches what a broken journey may do to the core.
		defer func() {
			if broken := recover(); broken != nil {
				err = campaign.Errorf(campaign.CodeInternal, "a turn broke off: %v", broken)
			}
		}()
		if taken, err = page.Migrating(ctx, m.work); err != nil || !taken {
			return err
		}
		if m.work.Reverts != 0 {
			if m.moves, err = page.Moves(ctx, m.work.Reverts, rows); err != nil {
				return err
			}
		}
		var list []*one
		for _, row := range rows {
			tx, err := page.Turn(row)
			if err != nil {
				return err
			}
			j := tx.Journey()
			switch {
			case failed != nil:
				failed.Version = j.Version
				tx.Migrated(m.work, failed, 0)
			case j.Done:
				tx.Migrated(m.work, &campaign.Migrated{Do: campaign.MigrationKeep, Kept: campaign.KeptOver}, 0)
			case m.work.Reverts != 0 && j.Turn != m.moves[row].Turn:
				tx.Migrated(m.work, &campaign.Migrated{Do: campaign.MigrationKeep, Kept: campaign.KeptMovedOn}, 0)
			default:
				o := &one{tx: tx, j: j, still: j.CampaignState == store.StatePaused}
				if err := m.prepare(ctx, page, o); err != nil {
					return err
				}
				list = append(list, o)
			}
		}
		if err := m.taker.take(ctx, page, list); err != nil {
			return err
		}
		for _, o := range list {
			if err := m.save(o); err != nil {
				return err
			}
		}
		return page.Advanced(m.work, rows[len(rows)-1])
	})
	if err == nil && taken {
		m.work.Cursor = rows[len(rows)-1]
		m.came += len(rows)
	}
	return err
}

func (m *migrating) save(o *one) error {
	turn := 0
	if !o.idle {
		turn = o.j.Turn + 1
		result := o.result()
		result.Turn = turn
		if o.more || o.still {
			result.Wait = 0
		}
		if err := o.tx.Save(turn, &o.decision, &result); err != nil {
			return err
		}
		o.tx.Wake()
	}
	// One with more to judge than one turn does is come to again in another pass.
	if d := o.decision.Migrated; d != nil && d.Kept != campaign.KeptBehind {
		o.tx.Migrated(m.work, d, turn)
	}
	return nil
}

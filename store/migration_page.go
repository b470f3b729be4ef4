package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Move is how a journey was moved by a migration.
type Move struct {
	Version int // the one that it left
	Digest  string
	State   json.RawMessage // as it was there
	Turn    int             // the turn that moved it
}

// Moves reads how a migration moved journeys of this page.
func (p *PageTx) Moves(ctx context.Context, migration int64, journeys []int64) (map[int64]Move, error) {
	rows, err := p.q.MovesOf(ctx, migration, journeys)
	out := make(map[int64]Move, len(rows))
	for _, r := range rows {
		out[r.Journey] = Move{int(r.FromVersion), r.FromDigest, r.FromState, int(r.Turn)}
	}
	return out, err
}

// Migrating takes a migration for this page, if it stands where the caller has read it
// and nobody else works it off.
func (p *PageTx) Migrating(ctx context.Context, w *MigrationWork) (bool, error) {
	cursor, err := p.q.LockMigration(ctx, w.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil && cursor == w.Cursor, err
}

// Migrated writes, when the page ends, what a migration did with this journey. turn is
// the turn that did it; 0: there was nothing to do.
func (t *TurnTx) Migrated(w *MigrationWork, m *campaign.Migrated, turn int) {
	c := &t.page.columns.moves
	c.migration, c.journey, c.turn = append(c.migration, w.ID), append(c.journey, t.row.ID), append(c.turn, int32(turn))
	c.done, c.reason, c.from, c.to = append(c.done, string(m.Do)), append(c.reason, m.Kept), append(c.from, m.From), append(c.to, m.To)
	c.version, c.digest = append(c.version, t.row.Version), append(c.digest, t.row.Digest)
	var before *string
	if m.Before != nil {
		state := string(m.Before)
		before = &state
	}
	c.state = append(c.state, before)
	switch n := &t.page.columns.migrated; {
	case m.Kept == campaign.KeptFailed:
		n.failed++
	case m.Do == campaign.MigrationMove:
		n.moved++
	case m.Do == campaign.MigrationEnd:
		n.ended++
	default:
		n.kept++
	}
}

// Wake lets, once the page is written, whoever drives this journey look at it.
func (t *TurnTx) Wake() {
	w := &t.page.columns.wakes
	if t.row.Slice == nil {
		w.journeys = append(w.journeys, t.row.ID)
		return
	}
	if !slices.Contains(w.slices, *t.row.Slice) {
		w.slices = append(w.slices, *t.row.Slice)
	}
}

// Advanced writes, when the page ends, that a migration has come as far as this journey.
func (p *PageTx) Advanced(w *MigrationWork, journey int64) error {
	c, wakes := &p.columns.migrated, &p.columns.wakes
	ctx := context.Background() // only queued
	if len(wakes.journeys) > 0 {
		if err := p.queued.AddIntents(ctx, string(IntentRecheck), wakes.journeys); err != nil {
			return err
		}
	}
	if len(wakes.slices) > 0 {
		if err := p.queued.AddSliceIntents(ctx, wakes.slices); err != nil {
			return err
		}
	}
	return p.queued.AdvanceMigration(ctx, db.AdvanceMigrationParams{
		ID: w.ID, Cursor: journey, Moved: c.moved, Ended: c.ended, Kept: c.kept, Failed: c.failed,
	})
}

const insertMovesSQL = `
insert into migration_moves (migration, journey, done, reason, from_version, from_digest, from_step, from_state, to_step, turn)
select migration, journey, done, reason, version, digest, step, state::jsonb, target, turn
  from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[])
       as i (migration, journey, done, reason, version, digest, step, state, target, turn)`

type moveColumns struct {
	migration, journey             []int64
	done, reason, digest, from, to []string
	state                          []*string
	version, turn                  []int32
}

func (m *moveColumns) queue(batch *pgx.Batch) {
	if len(m.journey) > 0 {
		batch.Queue(insertMovesSQL, m.migration, m.journey, m.done, m.reason, m.version, m.digest, m.from, m.state, m.to, m.turn)
	}
}

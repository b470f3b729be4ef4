package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Callback is what a platform told, as it is worked.
type Callback struct {
	ID       int64
	Channel  string
	Account  string
	Sort     string
	Payload  []byte
	Received time.Time
	Tries    int // with this one
}

// callbackKind stands for the kind of an identity where a payload is sealed.
const callbackKind campaign.IdentityKind = "callback"

// ReasonUnfollowed is the reason of an opt-out by a platform's word: who unfollowed an account
// or deleted a contact. It ends when she follows again.
const ReasonUnfollowed = "unfollowed"

const (
	keepCallbackSQL = `
insert into callbacks (hash, channel, account, sort, payload, sealed) values ($1, $2, $3, $4, $5, $6)
on conflict (hash) do nothing`

	// Whoever takes one has so long for it. Then another may: it died, or it failed, and the more
	// often that was the longer it waits.
	takeCallbacksSQL = `
update callbacks c
   set tries = c.tries + 1, due_at = clock_timestamp() + least(interval '1 hour', interval '15 seconds' * (2 ^ least(c.tries, 10)))
  from (select id from callbacks where done_at is null and due_at <= clock_timestamp() order by due_at, id limit $1 for update skip locked) d
 where c.id = d.id
returning c.id, c.channel, c.account, c.sort, c.payload, c.sealed, c.received_at, c.tries`

	endCallbackSQL = `
update callbacks set done_at = case when $2 = '' then clock_timestamp() end, error = $2 where id = $1 and done_at is null`

	forgetCallbacksSQL = `
delete from callbacks where id = any (array(
       select id from callbacks where done_at < clock_timestamp() - interval '30 days' order by done_at limit $1 for update skip locked))`

	// What came late does not undo what came before it and happened after. Of two things in one
	// second nobody knows the order; then she is not written to.
	unfollowSQL = `
update identities set told_at = $4, updated_at = now(), state = 'opted_out',
       reason = case when state = 'opted_out' then reason else $5 end, state_at = case when state = 'opted_out' then state_at else now() end
 where kind = $1 and account = $2 and hash = $3 and (told_at is null or told_at <= $4)`
	followSQL = `
update identities set told_at = $4, updated_at = now(),
       state = case when state = 'unreachable' or state = 'opted_out' and reason = $5 and not by_link then 'reachable' else state end,
       reason = case when state = 'unreachable' or state = 'opted_out' and reason = $5 and not by_link then '' else reason end,
       state_at = case when state = 'unreachable' or state = 'opted_out' and reason = $5 and not by_link then now() else state_at end
 where kind = $1 and account = $2 and hash = $3 and (told_at is null or told_at < $4)`

	plainCallbacksSQL = `select id, channel, account, payload from callbacks where not sealed and id > $1 order by id limit 100 for update`
	sealCallbackSQL   = `update callbacks set payload = $2, sealed = true where id = $1`
	callbacksLeftSQL  = `
select count(*), count(*) filter (where error <> '' and tries >= 5 or received_at < now() - interval '10 minutes'), coalesce(max(error) filter (where tries >= 5), '')
  from callbacks where done_at is null`
)

// KeepCallback keeps what a platform told, to be worked afterwards. fresh is false where the
// same payload is there already.
func (s *Store) KeepCallback(ctx context.Context, channel, account, sort string, payload []byte) (fresh bool, err error) {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return false, err
	}
	hash := sha256.Sum256(payload)
	stored, sealed := sealer.seal("", callbackKind, channel+"/"+account, string(payload))
	err = retry(ctx, func() error {
		tag, err := s.pool.Exec(ctx, keepCallbackSQL, hash[:], channel, account, sort, stored, sealed)
		fresh = tag.RowsAffected() == 1
		return err
	})
	if fresh && err == nil {
		s.Notify()
	}
	return fresh, translate(err, "keep a callback")
}

// TakeCallbacks takes callbacks that are due, the oldest first, for a while: what is not ended
// until then is taken again. One that does not open is told as failed, and left out.
func (s *Store) TakeCallbacks(ctx context.Context, most int) (out []Callback, err error) {
	var sealed []bool
	err = retry(ctx, func() error {
		out, sealed = nil, nil
		rows, err := s.pool.Query(ctx, takeCallbacksSQL, most)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c Callback
			var is bool
			if err := rows.Scan(&c.ID, &c.Channel, &c.Account, &c.Sort, &c.Payload, &is, &c.Received, &c.Tries); err != nil {
				return err
			}
			out, sealed = append(out, c), append(sealed, is)
		}
		return rows.Err()
	})
	if err != nil || len(out) == 0 {
		return nil, translate(err, "take callbacks")
	}
	sealer, err := s.sealer(ctx)
	if err != nil {
		return nil, err
	}
	opened := out[:0]
	for i, c := range out {
		text, err := sealer.open("", callbackKind, c.Channel+"/"+c.Account, c.Payload, sealed[i])
		if err != nil {
			if err := s.EndCallback(ctx, c.ID, "the configured BANYAN_ADDRESS_KEY does not open it"); err != nil {
				return nil, err
			}
			continue
		}
		c.Payload = []byte(text)
		opened = append(opened, c)
	}
	slices.SortFunc(opened, func(a, b Callback) int { return cmp.Compare(a.ID, b.ID) })
	return opened, nil
}

// EndCallback notes that a callback is done, or why it could not be: then it is tried again.
func (s *Store) EndCallback(ctx context.Context, id int64, why string) error {
	_, err := s.pool.Exec(ctx, endCallbackSQL, id, why)
	return translate(err, "end a callback")
}

// ForgetCallbacks drops callbacks that were done thirty days ago, at most so many, and says how
// many.
func (s *Store) ForgetCallbacks(ctx context.Context, most int) (n int, err error) {
	tag, err := s.pool.Exec(ctx, forgetCallbacksSQL, most)
	return int(tag.RowsAffected()), translate(err, "forget callbacks")
}

// Follow notes what a platform says of who has an address: that she follows, which ends an
// opt-out by the platform's word, or that she does so no more, which is one. What happened
// before that which is known already changes nothing.
func (s *Store) Follow(ctx context.Context, kind campaign.IdentityKind, account, address string, follows bool, at time.Time) error {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return err
	}
	sql := unfollowSQL
	if follows {
		sql = followSQL
	}
	err = retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, sql, string(kind), account, sealer.hashOf(kind, account, address), at, ReasonUnfollowed)
		return err
	})
	return translate(err, "note whether somebody follows")
}

// NewMemberID is the id of a member whom a platform names by an address that nobody has told
// of: always the same one, and the address cannot be found from it.
func (s *Store) NewMemberID(ctx context.Context, kind campaign.IdentityKind, account, address string) (string, error) {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return "", err
	}
	return "p-" + hex.EncodeToString(sealer.hashOf(kind, account, address)[:16]), nil
}

// MemberOfEvent finds whose event it is; empty where there is no such event.
func (s *Store) MemberOfEvent(ctx context.Context, id string) (member string, err error) {
	err = s.pool.QueryRow(ctx, `select member from events where id = $1`, id).Scan(&member)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return member, translate(err, "look up an event")
}

func (s *Store) sealCallbacks(ctx context.Context, have *sealer) error {
	for after := int64(0); ; {
		last := after
		err := s.inTx(ctx, func(tx pgx.Tx, _ *db.Queries) error {
			last = after
			rows, err := tx.Query(ctx, plainCallbacksSQL, after)
			if err != nil {
				return err
			}
			page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Callback, err error) {
				err = row.Scan(&c.ID, &c.Channel, &c.Account, &c.Payload)
				return c, err
			})
			for _, c := range page {
				stored, _ := have.seal("", callbackKind, c.Channel+"/"+c.Account, string(c.Payload))
				if _, err := tx.Exec(ctx, sealCallbackSQL, c.ID, stored); err != nil {
					return err
				}
				last = c.ID
			}
			return err
		})
		if err != nil {
			return translate(err, "seal callbacks")
		}
		if last == after {
			return nil
		}
		after = last
	}
}

func checkCallbacks(ctx context.Context, tx pgx.Tx) (Finding, error) {
	f := Finding{Check: "callbacks"}
	var left, stuck int64
	var why string
	if err := tx.QueryRow(ctx, callbacksLeftSQL).Scan(&left, &stuck, &why); err != nil {
		return f, err
	}
	if stuck > 0 {
		f.Detail = fmt.Sprintf("%d of platforms' callbacks could not be worked for a while: is `banyan serve` running? They are kept and tried again", stuck)
		if why != "" {
			f.Detail += "; the last error: " + why
		}
		return f, nil
	}
	f.OK, f.Detail = true, fmt.Sprintf("%d of platforms' callbacks wait, none for long", left)
	return f, nil
}

package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// PermitAnswer is what somebody answered when a mini program asked whether it may write to
// her by a template.
type PermitAnswer struct {
	Event    string // the id of the event that tells of it
	Account  string
	Address  string // her openid
	Template string
	// Accepted: one message more is permitted. Else none is, whatever was before.
	Accepted bool
}

const (
	grantPermitSQL = `
insert into permits as p (account, receiver, template, permits) values ($1, $2, $3, 1)
on conflict (account, receiver, template) do update set permits = p.permits + 1, updated_at = now()`

	emptyPermitsSQL = `
update permits set permits = 0, updated_at = now() where account = $1 and receiver = $2 and template = $3 and permits > 0`

	usePermitSQL    = `insert into permit_uses (key) values ($1) on conflict (key) do nothing`
	unusePermitSQL  = `delete from permit_uses where key = $1`
	takePermitSQL   = `update permits set permits = permits - 1, updated_at = now() where account = $1 and receiver = $2 and template = $3 and permits > 0`
	returnPermitSQL = `update permits set permits = permits + 1, updated_at = now() where account = $1 and receiver = $2 and template = $3`

	// A message that is still tried after thirty days would take another permit.
	forgetPermitsSQL = `
delete from permit_uses where key = any (array(
       select key from permit_uses where used_at < clock_timestamp() - interval '30 days' order by used_at limit $1 for update skip locked))`

	// They are found by the hash of an address, which a key for addresses changes.
	sealPermitsSQL = `
with moved as (
	delete from permits p using identities i
	 where i.id = $1 and i.kind = 'openid' and i.hash <> $2 and p.account = i.account and p.receiver = i.hash
	returning p.account, p.template, p.permits
)
insert into permits as p (account, receiver, template, permits) select account, $2, template, permits from moved
on conflict (account, receiver, template) do update set permits = p.permits + excluded.permits, updated_at = now()`
)

// StoreAnswers stores events as StoreEvents does, and in the same transaction what those of
// them that are new say of permits. So an answer that is told twice counts once.
func (s *Store) StoreAnswers(ctx context.Context, events []campaign.Event, answers []PermitAnswer) error {
	if len(events) == 0 {
		return nil
	}
	sealer, err := s.sealer(ctx)
	if err != nil {
		return err
	}
	in := ingestOf(events)
	// All who change several rows do it in one order.
	answers = slices.SortedFunc(slices.Values(answers), func(a, b PermitAnswer) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Template, b.Template))
	})
	fresh := false
	err = s.inQuickTx(ctx, func(tx pgx.Tx, _ *db.Queries) error {
		if _, err := tx.Exec(ctx, makeMembersSQL, in.members, in.joined); err != nil {
			return err
		}
		var ids []string
		var left []int32
		row := tx.QueryRow(ctx, storeEventsSQL, in.ids, in.owners, in.whose, in.place, in.types, in.times, in.properties, in.members)
		if err := row.Scan(&ids, &left); err != nil {
			return err
		}
		fresh = len(ids) > 0
		for i := range answers {
			a := &answers[i]
			if !slices.Contains(ids, a.Event) {
				continue
			}
			sql := emptyPermitsSQL
			if a.Accepted {
				sql = grantPermitSQL
			}
			if _, err := tx.Exec(ctx, sql, a.Account, sealer.hashOf(campaign.IdentityOpenID, a.Account, a.Address), a.Template); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return refused(err)
	}
	if fresh {
		s.Notify()
	}
	return nil
}

// TakePermit takes a permit of somebody for the message with this key; taken is false where
// she has none. A message that has one already takes no other.
func (s *Store) TakePermit(ctx context.Context, account, openid, template, key string) (taken bool, err error) {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return false, err
	}
	use, receiver := permitUse(key), sealer.hashOf(campaign.IdentityOpenID, account, openid)
	err = s.inQuickTx(ctx, func(tx pgx.Tx, _ *db.Queries) error {
		tag, err := tx.Exec(ctx, usePermitSQL, use)
		if taken = tag.RowsAffected() == 0; err != nil || taken {
			return err
		}
		tag, err = tx.Exec(ctx, takePermitSQL, account, receiver, template)
		if taken = tag.RowsAffected() == 1; err != nil || taken {
			return err
		}
		_, err = tx.Exec(ctx, unusePermitSQL, use)
		return err
	})
	return taken && err == nil, translate(err, "take a permit")
}

// ReturnPermit gives back the permit that a message took, if it took one.
func (s *Store) ReturnPermit(ctx context.Context, account, openid, template, key string) error {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return err
	}
	err = s.inQuickTx(ctx, func(tx pgx.Tx, _ *db.Queries) error {
		tag, err := tx.Exec(ctx, unusePermitSQL, permitUse(key))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, returnPermitSQL, account, sealer.hashOf(campaign.IdentityOpenID, account, openid), template)
		return err
	})
	return translate(err, "return a permit")
}

// EmptyPermits notes that a platform knows of no permit of somebody for a template.
func (s *Store) EmptyPermits(ctx context.Context, account, openid, template string) error {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return err
	}
	err = retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, emptyPermitsSQL, account, sealer.hashOf(campaign.IdentityOpenID, account, openid), template)
		return err
	})
	return translate(err, "empty permits")
}

// ForgetPermitUses drops which messages took a permit long ago, at most so many, and says how
// many.
func (s *Store) ForgetPermitUses(ctx context.Context, most int) (n int, err error) {
	tag, err := s.pool.Exec(ctx, forgetPermitsSQL, most)
	return int(tag.RowsAffected()), translate(err, "forget who took permits")
}

// permitUse is what stands for a message's key, which names people.
func permitUse(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// IdentityPut is what a caller tells of how a member is reached.
type IdentityPut struct {
	Member  string
	Kind    campaign.IdentityKind
	Account string
	Address string                 // as ParseAddress gives it; empty: as known
	State   campaign.IdentityState // empty: as known, see putIdentitiesSQL
	Reason  string                 // of the state
}

// IdentityInfo is how a member is reached, for people: its address is not whole.
type IdentityInfo struct {
	Kind      campaign.IdentityKind
	Account   string
	Masked    string // empty where there is no address
	State     campaign.IdentityState
	Reason    string
	StateAt   time.Time
	UpdatedAt time.Time
}

const (
	lockIdentitiesSQL = `
select i.id from identities i
  join unnest($1::text[], $2::text[], $3::text[]) as t (member, kind, account)
    on i.member = t.member and i.kind = t.kind and i.account = t.account
 order by i.id for update of i`

	// An opt-out by a link is for everybody who has the address: so nobody is told of with it
	// between the two looks. It is held after the members and before the identities.
	shareLinksSQL = `select pg_advisory_xact_lock_shared(hashtextextended('identities', 0))`
	lockLinksSQL  = `select pg_advisory_xact_lock(hashtextextended('identities', 0))`

	// A new address is reachable until its platform says otherwise, unless whoever reads
	// there said no by a link. An opt-out outlives its address: only a caller who says that
	// the member may be written to takes it back. That her mailbox is gone does not: it may be
	// another one tomorrow.
	putIdentitiesSQL = `
with told as (
	select t.*, i.id, i.address as old_address, i.hash as old_hash, i.sealed as old_sealed, i.state as old_state, i.reason as old_reason,
	       i.state_at as old_state_at, coalesce(i.by_link, false) as old_by_link, l.reason as link_reason
	  from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::boolean[], $6::bytea[], $7::text[], $8::text[])
	       as t (member, kind, account, address, sealed, hash, state, reason)
	  left join identities i on i.member = t.member and i.kind = t.kind and i.account = t.account
	  left join lateral (
	       select o.reason from identities o
	        where o.kind = t.kind and o.account = t.account and o.hash = t.hash and o.by_link and t.state = '' and o.hash is distinct from i.hash limit 1
	       ) l on true
), meant as (
	select t.*, case when t.state = 'unreachable' and t.old_state = 'opted_out' then 'opted_out'
	                 when t.state <> '' then t.state
	                 when t.link_reason is not null then 'opted_out'
	                 when t.old_state = 'opted_out' or t.hash is null or t.hash = t.old_hash then coalesce(t.old_state, 'reachable')
	                 else 'reachable' end as new_state
	  from told t
)
insert into identities as i (member, kind, account, address, sealed, hash, state, reason, by_link, state_at)
select member, kind, account, coalesce(address, old_address), case when address is null then coalesce(old_sealed, false) else sealed end,
       coalesce(hash, old_hash), new_state,
       case when state = new_state then reason when new_state = old_state then old_reason else coalesce(link_reason, '') end,
       new_state = 'opted_out' and (link_reason is not null or old_by_link and (hash is null or hash = old_hash)),
       case when new_state = old_state then old_state_at else now() end
  from meant order by member, kind, account
on conflict (member, kind, account) do update
   set address = excluded.address, sealed = excluded.sealed, hash = excluded.hash, state = excluded.state, reason = excluded.reason,
       by_link = excluded.by_link, state_at = excluded.state_at, updated_at = now()`
)

// PutIdentities stores how members are reached, all or none. A member who does not exist
// is an error.
func (s *Store) PutIdentities(ctx context.Context, puts ...IdentityPut) error {
	if len(puts) == 0 {
		return nil
	}
	sealer, err := s.sealer(ctx)
	if err != nil {
		return err
	}
	c := identityColumns(sealer, puts)
	err = s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		// Of an identity that is not there yet nothing can be locked but its member.
		held, err := q.LockMembers(ctx, c.members)
		if err != nil {
			return err
		}
		known := make(map[string]bool, len(held))
		for i := range held {
			known[held[i].ID] = true
		}
		for _, member := range c.members {
			if !known[member] {
				return campaign.Errorf(campaign.CodeNotFound, "there is no member %q", member)
			}
		}
		// Nobody opts out between what is read and what is written.
		if _, err := tx.Exec(ctx, shareLinksSQL); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, lockIdentitiesSQL, c.members, c.kinds, c.accounts); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, putIdentitiesSQL, c.members, c.kinds, c.accounts, c.addresses, c.sealed, c.hashes, c.states, c.reasons)
		return err
	})
	return translate(err, "store identities")
}

type identityTable struct {
	members, kinds, accounts, states, reasons []string
	addresses, hashes                         [][]byte
	sealed                                    []bool
}

// identityColumns writes each identity once: of one that is told twice, the later wins
// where it tells something, as if it were told behind it.
func identityColumns(sealer *sealer, puts []IdentityPut) (c identityTable) {
	type name struct{ member, kind, account string }
	at := map[name]int{}
	var folded []IdentityPut
	for _, p := range puts {
		key := name{p.Member, string(p.Kind), p.Account}
		i, again := at[key]
		if !again {
			at[key] = len(folded)
			folded = append(folded, p)
			continue
		}
		if p.Address != "" {
			folded[i].Address = p.Address
		}
		if p.State != "" && (p.State != campaign.IdentityUnreachable || folded[i].State != campaign.IdentityOptedOut) {
			folded[i].State, folded[i].Reason = p.State, p.Reason
		}
	}
	for _, p := range folded {
		var address, hash []byte
		var sealed bool
		if p.Address != "" {
			address, sealed = sealer.seal(p.Member, p.Kind, p.Account, p.Address)
			hash = sealer.hashOf(p.Kind, p.Account, p.Address)
		}
		c.members, c.kinds, c.accounts = append(c.members, p.Member), append(c.kinds, string(p.Kind)), append(c.accounts, p.Account)
		c.addresses, c.hashes, c.sealed = append(c.addresses, address), append(c.hashes, hash), append(c.sealed, sealed)
		c.states, c.reasons = append(c.states, string(p.State)), append(c.reasons, p.Reason)
	}
	return c
}

// Identities lists how a member is reached.
func (s *Store) Identities(ctx context.Context, member string) ([]IdentityInfo, error) {
	rows, err := s.queries.MemberIdentities(ctx, member)
	if err != nil {
		return nil, translate(err, "read a member's identities")
	}
	out := make([]IdentityInfo, len(rows))
	if len(rows) == 0 {
		return out, nil
	}
	sealer, err := s.sealer(ctx)
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		kind := campaign.IdentityKind(r.Kind)
		address, err := sealer.open(r.Member, kind, r.Account, r.Address, r.Sealed)
		if err != nil {
			return nil, err
		}
		out[i] = IdentityInfo{
			Kind: kind, Account: r.Account, Masked: campaign.MaskAddress(kind, address), State: campaign.IdentityState(r.State),
			Reason: r.Reason, StateAt: r.StateAt, UpdatedAt: r.UpdatedAt,
		}
	}
	return out, nil
}

// MembersOf finds who is reached by an address, at most a hundred, by id.
func (s *Store) MembersOf(ctx context.Context, kind campaign.IdentityKind, account, address string) ([]string, error) {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return nil, err
	}
	members, err := s.queries.MembersOfAddress(ctx, string(kind), account, sealer.hashOf(kind, account, address))
	return members, translate(err, "look up an address")
}

// RemoveIdentity forgets an address. A member who had opted out stays so, and the link in
// an old message is good for what she is told of by next.
func (s *Store) RemoveIdentity(ctx context.Context, member string, kind campaign.IdentityKind, account string) error {
	n, err := s.queries.RemoveIdentity(ctx, member, string(kind), account)
	if err == nil && n == 0 {
		return campaign.Errorf(campaign.CodeNotFound, "this member has no such identity")
	}
	return translate(err, "remove an identity")
}

// EraseIdentities forgets all of a member's addresses, her opt-outs too.
func (s *Store) EraseIdentities(ctx context.Context, member string) error {
	err := retry(ctx, func() error {
		_, err := s.queries.EraseIdentities(ctx, member)
		return err
	})
	return translate(err, "erase a member's identities")
}

// OptOut notes that who reads at an address wants no marketing there any more: of the member
// whose identity a link names, and of all who have the same address. Found is false where
// the identity does not exist. Once more changes nothing.
func (s *Store) OptOut(ctx context.Context, identity int64, reason string) (found bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		if _, err := tx.Exec(ctx, lockLinksSQL); err != nil {
			return err
		}
		n, err := q.OptOutByLink(ctx, reason, identity)
		if found = n > 0; found || err != nil {
			return err
		}
		found, err = q.IdentityExists(ctx, identity)
		return err
	})
	return found, translate(err, "opt out")
}

// markIdentitiesSQL changes what is known of the addresses that were written to, and of no
// later ones. A member's own "no" stays.
const markIdentitiesSQL = `
update identities i set state = m.state, reason = m.reason, state_at = now(), updated_at = now()
  from unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[]) as m (id, hash, state, reason)
 where i.id = m.id and i.hash = m.hash and i.state <> m.state and i.state <> 'opted_out'`

// identitiesOfSQL is a column of a statement over messages m: how their members are reached.
const identitiesOfSQL = `(
       select jsonb_agg(jsonb_build_object('id', i.id, 'kind', i.kind, 'account', i.account, 'sealed', i.sealed, 'state', i.state,
                                           'address', encode(i.address, 'base64'), 'hash', encode(i.hash, 'base64')))
         from identities i where i.member = m.member)`

// storedIdentity is one of that column.
type storedIdentity struct {
	ID      int64                  `json:"id"`
	Kind    campaign.IdentityKind  `json:"kind"`
	Account string                 `json:"account"`
	Sealed  bool                   `json:"sealed"`
	State   campaign.IdentityState `json:"state"`
	Address []byte                 `json:"address"`
	Hash    []byte                 `json:"hash"`
}

// giveIdentities reads that column for each of the messages. An address that does not open
// stays sealed, and so is the matter of the one message that goes to it: what goes to
// others, or needs no address, does not wait for whoever has the key.
func (s *Store) giveIdentities(ctx context.Context, messages []campaign.Outgoing, columns []json.RawMessage) error {
	stored := make([][]storedIdentity, len(columns))
	sealed := false
	for i, column := range columns {
		if len(column) == 0 {
			continue
		}
		if err := json.Unmarshal(column, &stored[i]); err != nil {
			return campaign.Errorf(campaign.CodeInternal, "a member's identities cannot be read")
		}
		for _, r := range stored[i] {
			sealed = sealed || r.Sealed
		}
	}
	have := new(sealer)
	if sealed {
		var err error
		if have, err = s.sealer(ctx); errors.Is(err, ErrSealed) {
			have = new(sealer)
		} else if err != nil {
			return err
		}
	}
	for i, list := range stored {
		for _, r := range list {
			to := campaign.Identity{ID: r.ID, Kind: r.Kind, Account: r.Account, Hash: r.Hash, State: r.State}
			var err error
			if to.Address, err = have.open(messages[i].Member, r.Kind, r.Account, r.Address, r.Sealed); err != nil {
				to.Sealed = true
			}
			messages[i].Identities = append(messages[i].Identities, to)
		}
	}
	return nil
}

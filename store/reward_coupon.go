package store

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/codes"
)

// A member who still holds one is granted no other, as many as the reward allows. What
// is reserved for an order is hers until that is over.
const heldCouponsSQL = `
select w.i, (select count(*) from coupons c
              where c.member = w.member and c.campaign is not distinct from $4 and c.reward is not distinct from w.reward and c.state is not distinct from 'granted'
                and (c.ends_at is null or c.ends_at >= w.now or c.held_until >= clock_timestamp()))::int
  from unnest($1::text[], $2::text[], $3::timestamptz[]) with ordinality as w (member, reward, now, i)`

const drawCodesSQL = `select pool, accounts, amounts, codes from draw_codes($1, $2, (hashtextextended($3, 0) & 63)::int + 1, $4, $5)`

const takeCodesSQL = `select take_codes($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

const readCodesSQL = `select id, code, sealed from coupons where id = any($1)`

// One that is taken already is not stored; nobody draws the same code twice, but luck.
const makeCouponsSQL = `
insert into coupons (campaign, reward, hash, code, sealed, pooled, state, leases, key, member, granted_at, ends_at, value, currency)
select $1, reward, hash, code, sealed, false, 'granted', 1, key, member, granted_at, ends_at, value, currency
  from unnest($2::text[], $3::bytea[], $4::bytea[], $5::bool[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::text[])
       as i (reward, hash, code, sealed, key, member, granted_at, ends_at, value, currency)
on conflict (hash) do nothing`

// drawn are the codes of a pool that are locked for the grants of a reward.
type drawn struct {
	pool              int64
	accounts, amounts []int64
	codes             []int64
}

func prepareCoupons(ctx context.Context, p *PageTx, g *grants, list []*granting) error {
	if err := lookForHeld(ctx, p, g, list); err != nil {
		return err
	}
	for _, part := range byReward(list) {
		// Of another version the same reward may make its codes, and needs none.
		var pooled []*granting
		for _, one := range part {
			if one.lack == "" && one.of.Coupon.Codes == campaign.CodesPool {
				pooled = append(pooled, one)
			}
		}
		if len(pooled) == 0 {
			continue
		}
		first := pooled[0]
		// Who changes budgets waits for all who grant, and those who come behind him wait for
		// him: so nobody waits there with a pool in hand.
		if err := p.holdLimitsOf(ctx, g.campaign); err != nil {
			return err
		}
		d := &drawn{}
		var pool *int64
		if err := p.conn.QueryRow(ctx, drawCodesSQL, g.campaign, first.of.Name, g.members[0], len(pooled), first.key).Scan(&pool, &d.accounts, &d.amounts, &d.codes); err != nil {
			return err
		}
		if pool != nil {
			d.pool = *pool
		}
		if g.drawn == nil {
			g.drawn = map[string]*drawn{}
		}
		g.drawn[first.of.Name] = d
		stock := int32(len(d.codes))
		for _, one := range pooled {
			one.stock = &stock
		}
	}
	return nil
}

func lookForHeld(ctx context.Context, p *PageTx, g *grants, list []*granting) error {
	var members, rewards []string
	var moments []time.Time
	for _, one := range list {
		members, rewards, moments = append(members, one.member), append(rewards, one.of.Name), append(moments, one.tx.now)
	}
	found, err := p.conn.Query(ctx, heldCouponsSQL, members, rewards, moments, g.campaign)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var i int64
		var n int32
		if err := found.Scan(&i, &n); err != nil {
			return err
		}
		if one := list[i-1]; int(n) >= one.of.Coupon.Most() {
			one.lack = campaign.RefusedHeld
		}
	}
	return found.Err()
}

func giveCoupons(ctx context.Context, p *PageTx, g *grants, list []*granting) error {
	have, err := p.sealer(ctx)
	if err != nil {
		return err
	}
	var fresh []*granting
	for _, part := range byReward(list) {
		var pooled []*granting
		for _, one := range part {
			c := one.of.Coupon
			one.piece = &campaign.Piece{State: campaign.CouponGranted, From: one.tx.now, Until: c.Ends(one.tx.now)}
			if c.Codes == campaign.CodesPool {
				pooled = append(pooled, one)
			} else {
				fresh = append(fresh, one)
			}
		}
		if err := leaseCodes(ctx, p, g, have, pooled); err != nil {
			return err
		}
	}
	return makeCodes(ctx, p, g, have, fresh)
}

// leaseCodes gives the codes that were drawn to those of a reward who were granted it.
func leaseCodes(ctx context.Context, p *PageTx, g *grants, have *sealer, list []*granting) error {
	if len(list) == 0 {
		return nil
	}
	reward := list[0].of.Name
	d := g.drawn[reward]
	if d == nil || len(d.codes) < len(list) {
		return campaign.Errorf(campaign.CodeInternal, "more coupons of %s were granted than codes were drawn", reward)
	}
	taken := d.codes[:len(list)]
	var c couponColumns
	byID := map[int64]*granting{}
	for i, one := range list {
		c.add(one)
		byID[taken[i]] = one
	}
	if _, err := p.conn.Exec(ctx, takeCodesSQL, d.pool, d.accounts, d.amounts, taken, c.keys, c.members, c.from, c.ends, c.backs, c.values, c.currencies); err != nil {
		return err
	}
	found, err := p.conn.Query(ctx, readCodesSQL, taken)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var (
			id     int64
			code   []byte
			sealed bool
		)
		if err := found.Scan(&id, &code, &sealed); err != nil {
			return err
		}
		if byID[id].piece.Code, err = have.openCode(g.campaign, reward, code, sealed); err != nil {
			return err
		}
	}
	return found.Err()
}

func makeCodes(ctx context.Context, p *PageTx, g *grants, have *sealer, list []*granting) error {
	if len(list) == 0 {
		return nil
	}
	var (
		c            couponColumns
		rewards      []string
		hashes, kept [][]byte
		sealed       []bool
	)
	for _, one := range list {
		code, err := codes.New(rand.Reader, max(one.of.Coupon.Length, campaign.MinCodeLength))
		if err != nil {
			return campaign.Errorf(campaign.CodeInternal, "draw a code: %w", err)
		}
		one.piece.Code = code
		stored, isSealed := have.sealCode(g.campaign, one.of.Name, code)
		c.add(one)
		rewards, hashes, kept, sealed = append(rewards, one.of.Name), append(hashes, have.hashOfCode(code)), append(kept, stored), append(sealed, isSealed)
	}
	tag, err := p.conn.Exec(ctx, makeCouponsSQL, g.campaign, rewards, hashes, kept, sealed, c.keys, c.members, c.from, c.ends, c.values, c.currencies)
	if err == nil && tag.RowsAffected() != int64(len(list)) {
		err = campaign.Errorf(campaign.CodeUnavailable, "a code was drawn that another coupon has: try again")
	}
	return err
}

// couponColumns are coupons as the statements take them.
type couponColumns struct {
	keys, members, currencies []string
	from                      []time.Time
	ends                      []*time.Time
	backs                     []bool
	values                    []int64
}

func (c *couponColumns) add(one *granting) {
	w := one.of.Coupon
	c.keys, c.members, c.currencies = append(c.keys, one.key), append(c.members, one.member), append(c.currencies, string(w.Value.Currency))
	c.from, c.ends, c.backs, c.values = append(c.from, one.piece.From), append(c.ends, orNull(one.piece.Until)), append(c.backs, w.Returns), append(c.values, w.Value.Minor)
}

package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// giver is what the store does for a kind of reward besides booking it. Each kind has its
// file, reward_X.go, and its line in givers.
type giver struct {
	kind campaign.RewardKind
	// prepare looks for what the grants need, under locks, and writes into each what it
	// lacks, or how many pieces there are for all of its reward.
	prepare func(ctx context.Context, p *PageTx, g *grants, list []*granting) error
	// give gives those that were granted.
	give func(ctx context.Context, p *PageTx, g *grants, list []*granting) error
}

// givers in the order in which everybody locks what they need.
var givers = []giver{
	{campaign.RewardPoints, nothingToPrepare, givePoints},
	{campaign.RewardCoupon, prepareCoupons, giveCoupons},
	{campaign.RewardBenefit, nothingToPrepare, giveBenefits},
	{campaign.RewardSteps, prepareSteps, giveSteps},
}

func nothingToPrepare(context.Context, *PageTx, *grants, []*granting) error { return nil }

// granting is a grant on its way.
type granting struct {
	key    string
	of     *campaign.Reward
	tx     *TurnTx
	member string // who gets it
	worth  int64  // what it takes of the budget
	value  *int64 // that the steps of a reward are measured by; nil: how often it was asked for
	lack   string // why it cannot be given, whatever its budget says
	stock  *int32 // pieces that there are for all grants of its reward that need one; nil: it needs none
	reason string // why it was refused
	points int64  // of a reward in steps: what was paid
	piece  *campaign.Piece
}

// reward is the reward of a question. One who asks for points need not say more.
func rewardOf(ask *campaign.GrantAsk) *campaign.Reward {
	if ask.Of != nil {
		return ask.Of
	}
	return &campaign.Reward{Name: ask.Reward, Points: ask.Points}
}

// byKind are the grants of a call that give one kind, and still can.
func (g *grants) byKind(kind campaign.RewardKind) (list []*granting) {
	for _, one := range g.list {
		if one.of.Gift().Kind() == kind && one.reason == "" {
			list = append(list, one)
		}
	}
	return list
}

// byReward parts grants by the names of their rewards, in the order of these.
func byReward(list []*granting) [][]*granting {
	parts := map[string][]*granting{}
	var names []string
	for _, one := range list {
		if parts[one.of.Name] == nil {
			names = append(names, one.of.Name)
		}
		parts[one.of.Name] = append(parts[one.of.Name], one)
	}
	slices.Sort(names)
	out := make([][]*granting, len(names))
	for i, name := range names {
		out[i] = parts[name]
	}
	return out
}

// sameKinds refuses a definition in which a reward gives something else than it did in an
// earlier version: what was given of it is booked in one unit.
func sameKinds(ctx context.Context, q *db.Queries, def *campaign.Definition) error {
	rows, err := q.RewardKinds(ctx, def.Name)
	if err != nil {
		return err
	}
	for _, row := range rows {
		was := campaign.RewardPoints
		switch {
		case row.Coupon:
			was = campaign.RewardCoupon
		case row.Benefit:
			was = campaign.RewardBenefit
		}
		r, ok := def.Reward(row.Reward)
		if !ok {
			continue
		}
		if is := r.Gift().Kind(); is != was && (!is.InPoints() || !was.InPoints()) {
			return campaign.Errorf(campaign.CodeConflict, "reward %s was %s in an earlier version of campaign %s, and is %s now: give it another name", r.Name, was, def.Name, r.Gift().Kind())
		}
	}
	return nil
}

// pageRewardsSQL reads what members were granted last of each reward of a campaign that
// gives coupons or benefits. w.i is the place of the turn in the page.
const pageRewardsSQL = `
select w.i, p.reward, p.code, p.sealed, p.benefit, p.state, p.from_at, p.until_at
  from unnest($1::int[], $2::text[], $3::text[]) as w (i, member, campaign)
 cross join lateral (
       (select distinct on (c.reward) c.reward, c.code, c.sealed, '' as benefit, c.state, c.granted_at as from_at, c.ends_at as until_at
          from coupons c where c.member = w.member and c.campaign is not distinct from w.campaign
         order by c.reward, c.granted_at desc, c.id desc)
       union all
       (select distinct on (b.reward) b.reward, null::bytea, false, b.benefit, case when b.revoked_at is null then 'granted' else 'voided' end, b.from_at, b.until_at
          from benefits b where b.member = w.member and b.campaign is not distinct from w.campaign
         order by b.reward, b.from_at desc, b.granted_at desc, b.key)
       ) p`

func askRewards(ctx context.Context, needs []*Need, ask asker) {
	var (
		at                 []int32
		members, campaigns []string
	)
	for i, n := range needs {
		if n.Rewards {
			at, members, campaigns = append(at, int32(i)), append(members, n.Turn.row.Member), append(campaigns, n.Turn.row.Campaign)
		}
	}
	if len(at) == 0 {
		return
	}
	ask(pageRewardsSQL, func(r pgx.BatchResults) error {
		var (
			i                      int32
			reward, benefit, state string
			code                   []byte
			sealed                 bool
			from                   time.Time
			until                  *time.Time
		)
		return rows(r, func() error {
			f, t := &needs[i].Facts, needs[i].Turn
			p := campaign.Piece{State: campaign.CouponState(state), From: from, Until: orZero(until)}
			if benefit == "" {
				have, err := t.page.sealer(ctx)
				if err != nil {
					return err
				}
				if p.Code, err = have.openCode(t.row.Campaign, reward, code, sealed); err != nil {
					return err
				}
			} else if k := slices.IndexFunc(t.member.Benefits, func(b campaign.Benefit) bool { return b.Name == benefit }); k >= 0 && p.State == campaign.CouponGranted {
				p.Until = t.member.Benefits[k].Until // it may have been made longer by another reward
			}
			if f.Rewards == nil {
				f.Rewards = map[string]campaign.Piece{}
			}
			f.Rewards[reward] = p
			return nil
		}, &i, &reward, &code, &sealed, &benefit, &state, &from, &until)
	}, at, members, campaigns)
}

// benefitsOf reads the projection in a member's row.
func benefitsOf(data []byte) ([]campaign.Benefit, error) {
	var until map[string]*time.Time
	if len(data) <= len("{}") {
		return nil, nil
	}
	if err := json.Unmarshal(data, &until); err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "the benefits of a member cannot be read: %w", err)
	}
	out := make([]campaign.Benefit, 0, len(until))
	for name, at := range until {
		out = append(out, campaign.Benefit{Name: name, Until: orZero(at)})
	}
	slices.SortFunc(out, func(a, b campaign.Benefit) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out, nil
}

// VoidGrant takes back what a grant gave beside points, in the transaction of whoever takes
// it back; the member's row is locked. at is campaign time. It says what it did: voided (a
// coupon that was not used yet), revoked (a benefit that lasted), or nothing.
func VoidGrant(ctx context.Context, q *db.Queries, grant string, at time.Time) (done string, err error) {
	return q.VoidGrant(ctx, grant, at)
}

// VoidGrant takes back what a grant gave beside points, see the function.
func (s *Store) VoidGrant(ctx context.Context, grant string, at time.Time) (done string, err error) {
	err = s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		member, err := q.GrantMember(ctx, grant)
		if err != nil {
			return found(err, "grant", grant)
		}
		if _, err := q.LockMembers(ctx, []string{member}); err != nil {
			return err
		}
		done, err = VoidGrant(ctx, q, grant, at)
		return err
	})
	return done, translate(err, "take back a grant")
}

package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

const entitleSQL = `select key, from_at, until_at, extended from entitle($1, $2, $3, $4, $5, $6::interval[], $7)`

func giveBenefits(ctx context.Context, p *PageTx, g *grants, list []*granting) error {
	var (
		keys, rewards, members, names []string
		spans                         []time.Duration
		moments                       []time.Time
	)
	byKey := map[string]*granting{}
	for _, one := range list {
		byKey[one.key] = one
		keys, rewards, members = append(keys, one.key), append(rewards, one.of.Name), append(members, one.member)
		names, spans, moments = append(names, one.of.Benefit.Benefit), append(spans, one.of.Benefit.For), append(moments, one.tx.now)
	}
	found, err := p.conn.Query(ctx, entitleSQL, g.campaign, keys, rewards, members, names, spans, moments)
	if err != nil {
		return err
	}
	var (
		key      string
		from     time.Time
		until    *time.Time
		extended bool
	)
	_, err = pgx.ForEachRow(found, []any{&key, &from, &until, &extended}, func() error {
		if one := byKey[key]; one != nil {
			one.piece = &campaign.Piece{State: campaign.CouponGranted, From: from, Until: orZero(until), Extended: extended}
		}
		return nil
	})
	return err
}

// BenefitLine is one benefit of a member with the grants behind it.
type BenefitLine struct {
	Benefit string             `json:"benefit"`
	Lasts   bool               `json:"lasts" doc:"Whether she has it now"`
	Until   *time.Time         `json:"until,omitempty" doc:"When it ends, or ended; absent: never"`
	Grants  []BenefitGrantLine `json:"grants" doc:"The newest first"`
}

// BenefitGrantLine is one span of a benefit.
type BenefitGrantLine struct {
	Key       string     `json:"key" doc:"The grant"`
	Campaign  string     `json:"campaign"`
	Reward    string     `json:"reward"`
	GrantedAt time.Time  `json:"granted_at" doc:"On the campaign's clock, as the others"`
	From      time.Time  `json:"from" doc:"After granted_at where it made one longer that lasted"`
	Until     *time.Time `json:"until,omitempty" doc:"Absent: for ever"`
	RevokedAt *time.Time `json:"revoked_at,omitempty" doc:"When it was taken back"`
}

// MemberBenefits lists what a member is and was entitled to.
func (s *Store) MemberBenefits(ctx context.Context, member string) (out []BenefitLine, err error) {
	err = s.ofMember(ctx, member, func(q *db.Queries) error {
		row, err := q.GetMember(ctx, member)
		if err != nil {
			return err
		}
		out, err = benefitLines(ctx, q, row)
		return err
	})
	return out, err
}

func benefitLines(ctx context.Context, q *db.Queries, member db.Member) ([]BenefitLine, error) {
	has, err := benefitsOf(member.Benefits)
	if err != nil {
		return nil, err
	}
	spans, err := q.MemberBenefits(ctx, member.ID)
	if err != nil {
		return nil, err
	}
	clocks := map[string]time.Time{}
	at := map[string]int{}
	out := []BenefitLine{}
	for _, r := range spans {
		now, known := clocks[r.Campaign]
		if !known {
			c, err := q.GetCampaign(ctx, r.Campaign)
			if err != nil {
				return nil, err
			}
			clock, err := q.RedemptionClock(ctx)
			if err != nil {
				return nil, err
			}
			now = clockOf(c).At(clock)
			clocks[r.Campaign] = now
		}
		i, ok := at[r.Benefit]
		if !ok {
			i = len(out)
			at[r.Benefit] = i
			line := BenefitLine{Benefit: r.Benefit}
			for k := range has {
				if has[k].Name == r.Benefit {
					line.Lasts, line.Until = has[k].LastsAt(now), orNull(has[k].Until)
				}
			}
			out = append(out, line)
		}
		out[i].Grants = append(out[i].Grants, BenefitGrantLine{r.Key, r.Campaign, r.Reward, r.GrantedAt, r.FromAt, r.UntilAt, r.RevokedAt})
	}
	return out, nil
}

func checkBenefits(ctx context.Context, q *db.Queries) (Finding, error) {
	n, err := q.DoctorBenefits(ctx)
	return none("benefits", "every member's benefits are those that she was granted", "%d members or accounts have other benefits than were granted", n), err
}

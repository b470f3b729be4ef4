package store

import (
	"context"

	"github.com/banyanhq/banyan/campaign"
)

// What members were paid of rewards in steps, and how often they were asked for. What was
// taken back of a step, or is owed, is paid again when it is reached again. The members' rows
// are held, so it stays so.
const paidStepsSQL = `
select w.i, p.paid - b.back, p.times
  from unnest($1::text[], $2::text[]) with ordinality as w (member, reward, i)
 cross join lateral (
       select coalesce(sum(c.points), 0)::bigint as back
         from clawbacks c where c.member = w.member and c.campaign is not distinct from $3 and c.reward is not distinct from w.reward) b
 cross join lateral (
       select coalesce(sum(g.points) filter (where g.state = 'granted'), 0)::bigint as paid, count(*) filter (where g.state = 'granted' or g.reason = 'step') as times
         from grants g where g.member = w.member and g.campaign is not distinct from $3 and g.reward is not distinct from w.reward) p`

// prepareSteps finds out what is still to be paid of the step that each member has reached.
func prepareSteps(ctx context.Context, p *PageTx, g *grants, list []*granting) error {
	var members, rewards []string
	for _, one := range list {
		members, rewards = append(members, one.member), append(rewards, one.of.Name)
	}
	found, err := p.conn.Query(ctx, paidStepsSQL, members, rewards, g.campaign)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var i, paid, times int64
		if err := found.Scan(&i, &paid, &times); err != nil {
			return err
		}
		one := list[i-1]
		value := times + 1
		if one.value != nil {
			value = *one.value
		}
		step, ok := one.of.Ladder.Reached(value)
		if one.worth = step.Points - paid; !ok || one.worth <= 0 {
			one.worth, one.lack = 1, campaign.RefusedStep
		}
	}
	return found.Err()
}

// giveSteps says how much was paid.
func giveSteps(ctx context.Context, p *PageTx, g *grants, list []*granting) error {
	for _, one := range list {
		one.points = one.worth
	}
	return givePoints(ctx, p, g, list)
}

package store

import "context"

// givePoints opens a batch for what was granted with an end.
func givePoints(ctx context.Context, p *PageTx, g *grants, list []*granting) error {
	var batches []newBatch
	for _, one := range list {
		if span := one.of.Expires; span > 0 {
			batches = append(batches, newBatch{
				key: one.key, member: one.member, campaign: g.campaign, points: one.worth, ends: one.tx.clock.RealAt(one.tx.now.Add(span)),
			})
		}
	}
	return addBatches(ctx, p.conn, batches)
}

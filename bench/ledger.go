package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

func ledgerBench() *benchmark {
	return &benchmark{
		name: "ledger", title: "grants and redemptions at the same time",
		about: "Clients do, each by its own dice and to members by chance: six grants of 10 points within a budget, three times a redemption of 10 points that is reserved and captured, and one that is reserved and cancelled. " +
			"Each is a transaction of its own that books by double entry, and a redemption that a member has too few points for is refused. " +
			"pgbench changes a balance and writes a line in each transaction, and keeps nobody from spending what is not there. Afterwards `banyan doctor` recomputes every balance.",
		sizes: []size{
			{name: "rounds", about: "times that each is measured", usual: 1, short: 1, full: 3},
			{name: "seconds", about: "how long each measurement runs", usual: 60, short: 1, full: 60},
			{name: "clients", about: "connections side by side", usual: 64, short: 8, full: 64},
			{name: "members", about: "members to whom is granted", usual: 100000, short: 500, full: 100000},
		},
		run: runLedger,
	}
}

// balancesByHand is what one would write without a ledger.
const balancesByHand = `\set m random(1, %d)
begin;
update hot_points set points = points + 10 where member = '%s-' || :m;
insert into hot_grants (key, member, points) select 'g-' || n, '%s-' || :m, 10 from nextval('hot_number') as n;
commit;
`

// What a client does, in the order of the dice.
var deeds = []struct {
	what  string
	weigh int
}{{"grant", 6}, {"reserve and capture", 3}, {"reserve and cancel", 1}}

func runLedger(ctx context.Context, r *run) (err error) {
	clients := r.size("clients")
	g, s, done, err := openGranter(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, done()) }()
	// Everybody has something to redeem.
	for range len(g.rows)/500 + 1 {
		if err := g.grant(ctx, s, "free", min(500, len(g.rows))); err != nil {
			return err
		}
	}
	bench, err := g.h.pgbench()
	if err != nil {
		return err
	}
	of := fmt.Sprintf("%d clients, %s members", clients, number(float64(r.size("members"))))
	const by, plain = "Banyan", "pgbench, balances by hand"
	if err := rounds(r.size("rounds"),
		func(round int) error { return g.mixed(ctx, s, of, by, clients, round) },
		g.pgbench(ctx, bench, balancesByHand, of, "transactions", plain, "tx/s", clients),
	); err != nil {
		return err
	}
	r.atLeast(of, "times the transactions of pgbench", r.median(of, "transactions", by)/r.median(of, "transactions", plain), 0.5)
	wrong := 0.0
	err = g.sound(ctx)
	if err != nil {
		wrong = 1
		r.say("The books are wrong: %v", err)
	}
	r.atMost(of, "findings of the doctor", wrong, 0)
	return err
}

// mixed lets clients grant and redeem until the time is over.
func (g *granter) mixed(ctx context.Context, s *store.Store, of, by string, clients, round int) error {
	if err := g.clean(ctx); err != nil {
		return err
	}
	type kept struct {
		took    [][]time.Duration // by deed
		steps   int               // transactions
		refused int
	}
	all := make([]kept, clients)
	length := time.Duration(g.h.run.size("seconds")) * time.Second
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for c := range clients {
		group.Go(func() error {
			dice := rand.New(rand.NewPCG(uint64(round), uint64(c)))
			k := &all[c]
			k.took = make([][]time.Duration, len(deeds))
			for n := 0; time.Since(began) < length; n++ {
				deed := throw(dice)
				at := time.Now()
				steps, refused, err := g.deed(ctx, s, deed, dice, fmt.Sprintf("%d-%d-%d", round, c, n))
				if err != nil {
					return fmt.Errorf("%s: %w", deeds[deed].what, err)
				}
				k.took[deed] = append(k.took[deed], time.Since(at))
				k.steps += steps
				k.refused += refused
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r, span := g.h.run, time.Since(began).Seconds()
	steps, refused := 0, 0
	for _, k := range all {
		steps += k.steps
		refused += k.refused
	}
	r.add(of, "transactions", by, "tx/s", float64(steps)/span)
	for d, deed := range deeds {
		var took []float64
		for _, k := range all {
			for _, t := range k.took[d] {
				took = append(took, float64(t.Microseconds())/1000)
			}
		}
		r.add(of, deed.what, by, "deeds/s", float64(len(took))/span)
		slices.Sort(took)
		r.add(of, deed.what+", p50", by, "ms", percentile(took, 50))
		r.add(of, deed.what+", p99", by, "ms", percentile(took, 99))
	}
	r.add(of, "redemptions refused: too few points", by, "deeds/s", float64(refused)/span)
	return nil
}

func throw(dice *rand.Rand) int {
	of := 0
	for _, d := range deeds {
		of += d.weigh
	}
	n := dice.IntN(of)
	for i, d := range deeds {
		if n -= d.weigh; n < 0 {
			return i
		}
	}
	return 0
}

// deed does one thing to a member by chance. It answers how many transactions that took, and
// whether she had too few points.
func (g *granter) deed(ctx context.Context, s *store.Store, deed int, dice *rand.Rand, id string) (steps, refused int, err error) {
	i := dice.IntN(len(g.rows))
	if deed == 0 {
		return 1, 0, g.grantTo(ctx, s, "budgeted", []int64{g.rows[i]}, []string{"m-" + id})
	}
	_, err = s.Reserve(ctx, store.Redemption{
		ID: "r-" + id, Member: g.name + "-" + strconv.Itoa(i+1), Points: 10, Order: "o-" + id, Span: time.Hour,
	})
	if campaign.CodeOf(err) == campaign.CodeConflict {
		return 1, 1, nil
	}
	if err != nil {
		return 0, 0, err
	}
	finish := s.Capture
	if deed == 2 {
		finish = s.Cancel
	}
	_, err = finish(ctx, "r-"+id)
	return 2, 0, err
}

package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// till is a store with members who are granted rewards of a campaign.
type till struct {
	*store.Store
	rows []int64 // a journey of each member
	zone *time.Location
}

var tills atomic.Int64

// newTill submits a campaign with these rewards and lets members in.
func newTill(tb testing.TB, s *store.Store, clock *store.DemoClock, members int, rewards ...campaign.Reward) (*till, string) {
	tb.Helper()
	name := fmt.Sprintf("till-%d", tills.Add(1))
	k := &till{Store: s}
	var err error
	if k.zone, err = time.LoadLocation("Asia/Shanghai"); err != nil {
		tb.Fatal(err)
	}
	k.submit(tb, name, rewards...)
	if err := s.Start(tb.Context(), name, clock); err != nil {
		tb.Fatal(err)
	}
	if _, err := s.Pool().Exec(tb.Context(), `insert into members (id, joined_at) select $1 || '-' || i, now() from generate_series(1, $2::int) i`, name, members); err != nil {
		tb.Fatal(err)
	}
	rows, err := s.Pool().Query(tb.Context(), `
		insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, cursor, entered_by, entered_at)
		select $1, 1, '', 'j', $1 || '-' || i, 1, $1 || '/' || i, '{}', 0, 'api', now() from generate_series(1, $2::int) i returning id`, name, members)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			tb.Fatal(err)
		}
		k.rows = append(k.rows, id)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return k, name
}

var texts atomic.Int64

// submit makes these the rewards of the newest version.
func (k *till) submit(tb testing.TB, name string, rewards ...campaign.Reward) {
	tb.Helper()
	if err := k.change(tb.Context(), name, rewards); err != nil {
		tb.Fatal(err)
	}
}

func (k *till) change(ctx context.Context, name string, rewards []campaign.Reward) error {
	def := &campaign.Definition{
		Language: 1, Name: name, Title: name, Timezone: "Asia/Shanghai", Currency: "CNY", Rewards: rewards,
		Journeys: []campaign.Journey{{Name: "j", Steps: campaign.Steps{&campaign.End{StepCommon: campaign.StepCommon{ID: "1"}, Outcome: "done"}}}},
	}
	_, err := k.Submit(ctx, def, fmt.Append(nil, name, texts.Add(1)))
	return err
}

// wish is a grant that is to be had for a journey.
type wish struct {
	row    int64
	key    string
	reward *campaign.Reward
}

// grant grants in one transaction; then decides whether it is committed.
func (k *till) grant(ctx context.Context, wishes []wish, then func() error) (answers []campaign.Answer, err error) {
	var rows []int64
	for _, w := range wishes {
		rows = append(rows, w.row)
	}
	err = k.InTurns(ctx, rows, func(page *store.PageTx) error {
		var questions []store.Question
		for _, w := range wishes {
			tx, err := page.Turn(w.row)
			if err != nil {
				return err
			}
			questions = append(questions, store.Question{Of: tx, Turn: 1, Ask: &campaign.Ask{Key: w.key, Grant: &campaign.GrantAsk{
				Reward: w.reward.Name, Points: w.reward.Points, PerMember: w.reward.PerMember, Step: "1", Zone: k.zone, Of: w.reward,
			}}})
		}
		if answers, err = page.Answer(ctx, questions); err != nil || then == nil {
			return err
		}
		return then()
	})
	return answers, err
}

// sound asks the doctor.
func (k *till) sound(tb testing.TB) {
	tb.Helper()
	findings, err := k.Examine(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range findings {
		if !f.OK {
			tb.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
}

func (k *till) number(tb testing.TB, sql string, args ...any) (n int64) {
	tb.Helper()
	if err := k.Pool().QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		tb.Fatal(sql, err)
	}
	return n
}

// clients lets so many clients work a list off, each its next page of so many.
func clients(tb testing.TB, n int, wishes []wish, page int, do func([]wish) error) {
	tb.Helper()
	var (
		next atomic.Int64
		all  sync.WaitGroup
	)
	for range n {
		all.Go(func() {
			for {
				last := int(next.Add(int64(page)))
				if last-page >= len(wishes) {
					return
				}
				if err := do(wishes[last-page : min(last, len(wishes))]); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// As many grants as the budget has room for, asked for by 64 clients at the same time: all
// are granted, although most of what is left lies in leases when it runs out. One more is
// refused, and stays so.
func TestABudgetIsUsedUpToItsLastGrant(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		name     string
		rest     int64 // what is left when no grant fits any more
		per      campaign.Reward
		page     int
		leases   bool
		perGrant int
	}{
		{name: "of a few grants", per: campaign.Reward{Name: "gift", Points: 7, Budget: 24 * 7}, rest: 3, page: 1},
		{name: "one by one", per: campaign.Reward{Name: "gift", Points: 100, Budget: 150_000}, rest: 99, page: 1, leases: true},
		{name: "in pages", per: campaign.Reward{Name: "gift", Points: 100, Budget: 300_000}, rest: 1, page: 17},
		{name: "of one day", per: campaign.Reward{Name: "gift", Points: 100, BudgetPerDay: 120_000}, page: 1, leases: true},
		{name: "of one day and in all", per: campaign.Reward{Name: "gift", Points: 100, Budget: 120_000, BudgetPerDay: 90_000}, rest: 50, page: 3, leases: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			reward := c.per
			limit, reason := &reward.Budget, campaign.RefusedBudget
			if reward.BudgetPerDay > 0 {
				limit, reason = &reward.BudgetPerDay, campaign.RefusedPerDay
			}
			fits := int(*limit / reward.Points)
			*limit += c.rest
			// Should midnight come meanwhile, the day's budget would be whole again.
			if local := time.Now().In(time.FixedZone("", 8*3600)); reward.BudgetPerDay > 0 && local.Hour() == 23 && local.Minute() >= 55 {
				t.Skip("it is nearly midnight in the campaign's timezone")
			}
			k, name := newTill(t, s, nil, fits, reward)
			var wishes []wish
			for i, row := range k.rows {
				wishes = append(wishes, wish{row, fmt.Sprintf("%s/%d", name, i), &reward})
			}
			ask := func(want string) func([]wish) error {
				return func(list []wish) error {
					answers, err := k.grant(t.Context(), list, nil)
					for _, a := range answers {
						if err == nil && a.Reason != want {
							err = fmt.Errorf("%+v, want %q", a, want)
						}
					}
					return err
				}
			}
			clients(t, 64, wishes, c.page, ask(""))
			for i := range wishes {
				wishes[i].key += "/again"
			}
			clients(t, 16, wishes[:min(64, fits)], c.page, ask(reason))
			if n := k.number(t, `select sum(points)::bigint from grants where campaign = $1 and state = 'granted'`, name); n != int64(fits)*reward.Points {
				t.Errorf("%d points are granted, want %d", n, int64(fits)*reward.Points)
			}
			if n := k.number(t, `select available from budget_balances where campaign = $1 order by day desc limit 1`, name); n != c.rest {
				t.Errorf("%d points are left, want %d", n, c.rest)
			}
			leases := k.number(t, `select count(*) from ledger_accounts a join budgets b on b.id = a.budget where b.campaign = $1 and a.kind = 'lease'`, name)
			if c.leases != (leases > 1) && c.page == 1 {
				t.Errorf("%d leases were made", leases)
			}
			k.sound(t)
		})
	}
}

// A reward that pauses gives what it does not keep back, to the last grant that fits; the
// rest once somebody has resumed it, and no more than that. Another total keeps back again.
func TestARewardPauses(t *testing.T) {
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 100, Budget: 30_000, PauseAt: 10_050}
	k, name := newTill(t, s, nil, 400, reward, campaign.Reward{Name: "other", Points: 1, Budget: 10}, campaign.Reward{Name: "free", Points: 1})
	n := 0
	// grants asks for a grant for each of so many members, and counts what was granted and refused.
	grants := func(members int) (granted int64, refused map[string]int) {
		t.Helper()
		n++
		var (
			wishes []wish
			mutex  sync.Mutex
		)
		for i, row := range k.rows[:members] {
			wishes = append(wishes, wish{row, fmt.Sprintf("%s/%d/%d", name, n, i), &reward})
		}
		refused = map[string]int{}
		clients(t, 16, wishes, 1, func(list []wish) error {
			answers, err := k.grant(t.Context(), list, nil)
			mutex.Lock()
			defer mutex.Unlock()
			for _, a := range answers {
				if a.OK {
					granted++
				} else {
					refused[a.Reason]++
				}
			}
			return err
		})
		k.sound(t)
		return granted, refused
	}
	budget := func() store.BudgetReport {
		t.Helper()
		r, err := s.Report(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return r.Budgets[0]
	}
	if granted, refused := grants(205); granted != 199 || refused[campaign.RefusedPaused] != 6 {
		t.Errorf("before the pause: %d granted, refused %v", granted, refused)
	}
	if b := budget(); b.Left != 10_100 || b.KeptBack != 10_050 || b.Used != 19_900 {
		t.Errorf("%+v", b)
	}
	if left := k.number(t, `select available from reward_budgets where campaign = $1 and reward = 'gift'`, name); left != 50 {
		t.Errorf("expressions read that %d are left", left)
	}
	for range 2 { // again changes nothing
		if err := s.ResumeReward(t.Context(), name, "gift"); err != nil {
			t.Fatal(err)
		}
	}
	k.submit(t, name, reward, campaign.Reward{Name: "other", Points: 1, Budget: 20}) // nor does a version with the same
	if granted, refused := grants(110); granted != 101 || refused[campaign.RefusedBudget] != 9 {
		t.Errorf("after it was resumed: %d granted, refused %v", granted, refused)
	}
	more := reward
	more.Budget = 60_000
	k.submit(t, name, more)
	if granted, refused := grants(210); granted != 199 || refused[campaign.RefusedPaused] != 11 {
		t.Errorf("of another total: %d granted, refused %v", granted, refused)
	}
	// What is kept back may be more than is left.
	more.PauseAt = 40_000
	k.submit(t, name, more)
	if granted, _ := grants(2); granted != 0 || budget().Left != 10_100 || budget().KeptBack != 10_100 {
		t.Errorf("%d granted, %+v", granted, budget())
	}
	for reward, want := range map[string]campaign.Code{"other": campaign.CodeConflict, "free": campaign.CodeNotFound, "none": campaign.CodeNotFound} {
		if err := s.ResumeReward(t.Context(), name, reward); campaign.CodeOf(err) != want {
			t.Errorf("%s: %v", reward, err)
		}
	}
	if err := s.ResumeReward(t.Context(), "none", "gift"); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Error(err)
	}
	k.sound(t)
}

// Every day of the campaign's calendar has its own budget, and one that begins while many
// grant begins once. A demo clock lets a day pass in a second.
func TestEveryDayHasItsBudget(t *testing.T) {
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 100, Budget: 1_000_000, BudgetPerDay: 550}
	// Midnight comes when a day is used up, while grants are under way, and not before.
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	k, name := newTill(t, s, &store.DemoClock{Factor: 2, From: noon}, 64, reward)
	var (
		all  sync.WaitGroup
		n    atomic.Int64
		over atomic.Bool
	)
	const days = 4
	for i, row := range k.rows {
		all.Go(func() {
			for !over.Load() {
				if _, err := k.grant(t.Context(), []wish{{row, fmt.Sprintf("%s/%d/%d", name, i, n.Add(1)), &reward}}, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for day := range days {
		until(t, "a day is used up", func() bool {
			return t.Failed() || k.number(t, `select count(distinct (at at time zone 'Asia/Shanghai')::date) from grants where campaign = $1 and reason = 'per_day'`, name) > int64(day)
		})
		if _, err := s.Pool().Exec(t.Context(), `update campaigns set clock_start = clock_start + interval '1 day' where name = $1`, name); err != nil {
			t.Error(err)
		}
	}
	over.Store(true)
	all.Wait()
	rows, err := s.Pool().Query(t.Context(), `
		select b.day, (select coalesce(sum(g.points), 0) from grants g where g.campaign = b.campaign and g.state = 'granted' and (g.at at time zone 'Asia/Shanghai')::date::text = b.day)::int,
		       (select count(*) from grants g where g.campaign = b.campaign and g.reason = 'per_day' and (g.at at time zone 'Asia/Shanghai')::date::text = b.day)::int
		  from budgets b where b.campaign = $1 and b.day <> '' order by b.day`, name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	full := 0
	for rows.Next() {
		var (
			day              string
			granted, refused int
		)
		if err := rows.Scan(&day, &granted, &refused); err != nil {
			t.Fatal(err)
		}
		if granted > 500 || refused > 0 && granted != 500 {
			t.Errorf("%s: %d points granted, %d refused, of 550", day, granted, refused)
		}
		if granted == 500 {
			full++
		}
	}
	if err := rows.Err(); err != nil || full < days {
		t.Errorf("%d days were used up, want %d; %v", full, days, err)
	}
	k.sound(t)
}

// A member gets no more of a reward than its budget has for each, whatever version asks.
func TestABudgetForEachMember(t *testing.T) {
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 100, BudgetPerMember: 250}
	k, name := newTill(t, s, nil, 3, reward)
	var reasons []string
	for i := range 3 {
		a, err := k.grant(t.Context(), []wish{{k.rows[0], fmt.Sprintf("%s/a/%d", name, i), &reward}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		reasons = append(reasons, a[0].Reason)
	}
	if !slices.Equal(reasons, []string{"", "", campaign.RefusedPerMember}) {
		t.Errorf("one by one: %q", reasons)
	}
	// The same member several times in a page: what comes first counts for what comes after.
	a, err := k.grant(t.Context(), []wish{
		{k.rows[1], name + "/b/1", &reward}, {k.rows[2], name + "/c/1", &reward}, {k.rows[1], name + "/b/2", &reward}, {k.rows[1], name + "/b/3", &reward},
	}, nil)
	if err != nil || len(a) != 4 || !a[0].OK || !a[1].OK || !a[2].OK || a[3].Reason != campaign.RefusedPerMember {
		t.Errorf("in a page: %+v, %v", a, err)
	}
	k.submit(t, name, campaign.Reward{Name: "gift", Points: 100, BudgetPerMember: 400})
	if a, err := k.grant(t.Context(), []wish{{k.rows[0], name + "/a/4", &reward}}, nil); err != nil || !a[0].OK {
		t.Errorf("after it was raised: %+v, %v", a, err)
	}
	k.sound(t)
}

// A budget is raised, lowered, lifted and set again while members are granted from it: what
// was granted counts, whenever it was.
func TestABudgetChangesWhileItIsUsed(t *testing.T) {
	s := open(t)
	reward := campaign.Reward{Name: "gift", Points: 10, Budget: 20_000, BudgetPerDay: 15_000}
	k, name := newTill(t, s, nil, 64, reward)
	var (
		all  sync.WaitGroup
		n    atomic.Int64
		stop = make(chan struct{})
	)
	for _, row := range k.rows[:24] {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := k.grant(t.Context(), []wish{{row, fmt.Sprintf("%s/%d", name, n.Add(1)), &reward}}, nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, budget := range []struct{ all, day int64 }{{5_000, 0}, {0, 0}, {10_000, 400}, {0, 2_000}, {300, 0}, {30_000, 20_000}} {
		for before := n.Load(); n.Load() < before+40 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		k.submit(t, name, campaign.Reward{Name: "gift", Points: 10, Budget: budget.all, BudgetPerDay: budget.day})
		k.sound(t)
	}
	close(stop)
	all.Wait()
	k.sound(t)
}

// Whatever the order in which grants, redemptions, expiries, cancels, crashes and retries
// come, and however they meet: the sums are zero, no budget is passed, no key is booked
// twice, and every balance is what its entries say.
func TestTheLedgerBalancesWhateverHappens(t *testing.T) {
	s := open(t)
	cut := errors.New("the process died")
	// What may fail: somebody else was faster, or has had the points.
	lawful := func(err error) {
		if code := campaign.CodeOf(err); err != nil && code != campaign.CodeConflict && code != campaign.CodeNotFound {
			t.Error(err)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		budget := func(label string) int64 { return rapid.SampledFrom([]int64{0, 500, 3_000, 40_000}).Draw(r, label) }
		rewards := []campaign.Reward{
			{Name: "a", Points: 100, Budget: budget("a in all"), BudgetPerDay: budget("a a day")},
			{Name: "b", Points: 30, Budget: budget("b in all"), BudgetPerMember: budget("b a member"), PerMember: &campaign.Times{Times: 3}},
			{Name: "c", Points: 1},
		}
		k, name := newTill(t, s, nil, 12, rewards...)
		type deed struct {
			wishes []wish
			end    string
			// of a redemption
			redeem, id string
			points     int64
			member     int
		}
		ids := []string{name + "/1", name + "/2", name + "/3", name + "/4", name + "/5"}
		var lists [6][]deed
		for i := range lists {
			for j := range rapid.IntRange(1, 8).Draw(r, "deeds") {
				d := deed{end: rapid.SampledFrom([]string{"commit", "commit", "cut", "killed", "changed"}).Draw(r, "end")}
				if rapid.Bool().Draw(r, "redeem") {
					d.redeem = rapid.SampledFrom([]string{"reserve", "reserve", "capture", "cancel", "let expire", "sweep"}).Draw(r, "what")
					d.id, d.points = rapid.SampledFrom(ids).Draw(r, "id"), rapid.SampledFrom([]int64{1, 30, 100, 130}).Draw(r, "points")
					d.member = rapid.IntRange(1, 12).Draw(r, "whose")
					lists[i] = append(lists[i], d)
					continue
				}
				for m := range rapid.IntRange(1, 6).Draw(r, "grants") {
					d.wishes = append(d.wishes, wish{
						rapid.SampledFrom(k.rows).Draw(r, "member"), fmt.Sprintf("%s/%d/%d/%d", name, i, j, m), &rewards[rapid.IntRange(0, 2).Draw(r, "reward")],
					})
				}
				lists[i] = append(lists[i], d)
			}
		}
		var all sync.WaitGroup
		for _, list := range lists {
			all.Go(func() {
				for _, d := range list {
					if d.redeem != "" {
						reservation := store.Redemption{ID: d.id, Member: fmt.Sprintf("%s-%d", name, d.member), Points: d.points, Order: "o", Span: time.Hour}
						redeem := func(ctx context.Context) (err error) {
							switch d.redeem {
							case "reserve":
								_, err = s.Reserve(ctx, reservation)
							case "capture":
								_, _ = s.Reserve(ctx, reservation) // so that there is something, as far as she has it
								_, err = s.Capture(ctx, d.id)
							case "cancel":
								_, err = s.Cancel(ctx, d.id)
							case "let expire":
								_, err = s.Pool().Exec(ctx, `update redemptions set expires_at = clock_timestamp() where id = $1 and state = 'reserved'`, d.id)
							case "sweep":
								_, err = s.ExpireRedemptions(ctx, 3)
							}
							return err
						}
						if d.end == "killed" || d.end == "cut" {
							ctx, cancel := context.WithTimeout(t.Context(), rand.N(4*time.Millisecond))
							_ = redeem(ctx)
							cancel()
						}
						lawful(redeem(t.Context()))
						continue
					}
					switch d.end {
					case "cut": // between the grant and the commit
						if _, err := k.grant(t.Context(), d.wishes, func() error { return cut }); !errors.Is(err, cut) {
							t.Error(err)
						}
					case "killed": // at any statement
						ctx, cancel := context.WithTimeout(t.Context(), rand.N(4*time.Millisecond))
						_, _ = k.grant(ctx, d.wishes, nil)
						cancel()
					case "changed":
						if err := k.change(t.Context(), name, rewards); err != nil {
							t.Error(err)
						}
					}
					// Who tries again looks first whether it was done, as a turn looks at its number.
					var done bool
					if err := s.Pool().QueryRow(t.Context(), "select exists (select from grants where key = $1)", d.wishes[0].key).Scan(&done); err != nil {
						t.Error(err)
					}
					if done {
						continue
					}
					// What was killed may yet be granted behind that look: then its key is there.
					var refused *pgconn.PgError
					if _, err := k.grant(t.Context(), d.wishes, nil); err != nil && (!errors.As(err, &refused) || refused.Code != "23505") {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for _, reward := range rewards {
			granted := k.number(t, `select coalesce(sum(points), 0)::bigint from grants where campaign = $1 and reward = $2 and state = 'granted'`, name, reward.Name)
			refused := k.number(t, `select count(*) from grants where campaign = $1 and reward = $2 and reason = 'budget'`, name, reward.Name)
			if reward.Budget > 0 && (granted > reward.Budget || refused > 0 && reward.Budget-granted >= reward.Points) {
				r.Errorf("%s: %d granted and %d refused of a budget of %d", reward.Name, granted, refused, reward.Budget)
			}
		}
		k.sound(t)
		if t.Failed() {
			r.FailNow()
		}
	})
	k := &till{Store: s}
	for _, what := range []string{
		`grants where state = 'granted'`, `grants where reason = 'budget'`, `grants where reason = 'per_day'`, `grants where reason = 'per_member'`,
		`redemptions where state = 'captured'`, `redemptions where state = 'cancelled'`, `redemptions where state = 'expired'`,
	} {
		if n := k.number(t, `select count(*) from `+what); n == 0 {
			t.Errorf("there were no %s, so this shows little", what)
		}
	}
}

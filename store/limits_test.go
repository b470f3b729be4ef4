package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

func dated(name, timezone string, perDay int64) *campaign.Definition {
	return &campaign.Definition{
		Language: 1, Name: name, Title: name, Timezone: timezone, Currency: "CNY",
		Rewards:  []campaign.Reward{{Name: "gift", Points: 10, Budget: 1000, BudgetPerDay: perDay}},
		Offers:   []campaign.Offer{{Name: "lamp", Title: "lamp", Stock: 5}},
		Journeys: []campaign.Journey{{Name: "j", Steps: campaign.Steps{&campaign.End{StepCommon: campaign.StepCommon{ID: "1"}, Outcome: "done"}}}},
	}
}

// Members of all versions draw from the budget of a day, so a day is the same for all.
func TestADayIsTheSameForAllVersions(t *testing.T) {
	t.Parallel()
	s := open(t)
	submit := func(def *campaign.Definition, text string) error {
		_, err := s.Submit(t.Context(), def, []byte(def.Name+text))
		return err
	}
	const shanghai, utc = "Asia/Shanghai", "UTC"
	for _, c := range []struct {
		name           string
		first, then    int64 // per day
		inFlight       bool  // members of the first version are on their way when the third comes
		second, refuse bool
	}{
		{name: "daily-kept", first: 100, then: 100, refuse: true},
		{name: "daily-taken-away", first: 100, refuse: true},
		{name: "daily-new", then: 100, refuse: true},
		{name: "never-daily"},
		{name: "daily-after", then: 100, second: true},
		{name: "daily-after-with-members", then: 100, second: true, inFlight: true, refuse: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := submit(dated(c.name, shanghai, c.first), "1"); err != nil {
				t.Fatal(err)
			}
			if c.inFlight {
				for _, sql := range []string{
					`insert into members (id, joined_at) values ($1, now())`,
					`insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, cursor, entered_by, entered_at)
						values ($1, 1, '', 'j', $1, 1, $1, '{}', 0, 'api', now())`,
				} {
					if _, err := s.Pool().Exec(t.Context(), sql, c.name); err != nil {
						t.Fatal(err)
					}
				}
			}
			if c.second {
				if err := submit(dated(c.name, utc, 0), "2"); err != nil {
					t.Fatal(err)
				}
			}
			err := submit(dated(c.name, utc, c.then), "3")
			if refused := campaign.CodeOf(err) == campaign.CodeConflict && strings.Contains(err.Error(), "two calendars"); refused != c.refuse || err != nil && !refused {
				t.Errorf("refused %t, want %t: %v", refused, c.refuse, err)
			}
		})
	}
}

// Who submits a version waits for those who grant or take stock before it holds anything
// that they may want next; else they would wait for each other.
func TestASubmissionWaitsWithNothingInItsHands(t *testing.T) {
	s := open(t)
	gift := campaign.Reward{Name: "gift", Points: 10, Budget: 1000}
	lamp := campaign.Offer{Name: "lamp", Title: "lamp", Stock: 5}
	for name, ask := range map[string]*campaign.Ask{
		"grants": {Key: "g", Grant: &campaign.GrantAsk{Reward: "gift", Points: 10, Step: "1", Zone: time.UTC}},
		"takes":  {Key: "t", Take: &campaign.TakeAsk{Offer: "lamp", Stock: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			k, id := newTill(t, s, nil, 1, gift)
			def := dated(id, "Asia/Shanghai", 0)
			def.Offers = []campaign.Offer{lamp}
			if _, err := s.Submit(t.Context(), def, []byte(id+" with a lamp")); err != nil {
				t.Fatal(err)
			}
			submitted := make(chan error, 1)
			err := s.InTurns(t.Context(), k.rows, func(page *store.PageTx) error {
				tx, err := page.Turn(k.rows[0])
				if err != nil {
					return err
				}
				mine := *ask
				mine.Key += id
				if _, err := page.Answer(t.Context(), []store.Question{{Of: tx, Turn: 1, Ask: &mine}}); err != nil {
					return err
				}
				go func() {
					def.Offers[0].Stock, def.Rewards[0].Budget = 7, 2000
					_, err := s.Submit(t.Context(), def, []byte(id+" with more lamps"))
					submitted <- err
				}()
				for waits := false; !waits; {
					if err := s.Pool().QueryRow(t.Context(), `select exists (select from pg_locks where locktype = 'advisory' and not granted
						and database = (select oid from pg_database where datname = current_database()))`).Scan(&waits); err != nil {
						return err
					}
					select {
					case err := <-submitted:
						t.Errorf("it did not wait: %v", err)
						return err
					default:
					}
				}
				if ask.Take == nil {
					_, err = s.Pool().Exec(t.Context(), `select from offer_stock where campaign = $1 for update nowait`, id)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := <-submitted; err != nil {
				t.Error(err)
			}
		})
	}
}

// A reward is resumed though PostgreSQL breaks it off once, as it does with whoever waits in a
// circle.
func TestResumingARewardIsTriedAgain(t *testing.T) {
	s := open(t)
	k, name := newTill(t, s, nil, 1, campaign.Reward{Name: "gift", Points: 10, Budget: 100, PauseAt: 50})
	if _, err := s.Pool().Exec(t.Context(), `
		create sequence tries;
		create function breaks() returns trigger language plpgsql as $$
		begin
			if nextval('tries') = 1 then
				raise exception 'broken off' using errcode = 'deadlock_detected';
			end if;
			return new;
		end $$;
		create trigger breaks before update on budgets for each row execute function breaks()`); err != nil {
		t.Fatal(err)
	}
	if err := s.ResumeReward(t.Context(), name, "gift"); err != nil {
		t.Error(err)
	}
	if n := k.number(t, `select available from reward_budgets where campaign = $1`, name); n != 100 {
		t.Errorf("%d points are left, want 100", n)
	}
	k.sound(t)
}

// Who draws from a pool while a version is submitted waits with nothing of it in his hands: others
// who hold the limits draw from it, and whoever submits waits for them.
func TestWhoDrawsFromAPoolHoldsTheLimitsFirst(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesPool)
	k, name := newTill(t, s, nil, 1, reward)
	k.fill(t, name, name, 3)
	tx, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	// As a submission holds them.
	if _, err := tx.Exec(t.Context(), `select pg_advisory_xact_lock(budgets_lock($1))`, name); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		a, err := k.grant(t.Context(), wishesOf(k, name, &reward), nil)
		if err == nil && !a[0].OK {
			err = fmt.Errorf("%+v", a)
		}
		done <- err
	}()
	until(t, "the grant waits for the limits", func() bool { return waitsForLimits(t, s) })
	for _, sql := range []string{
		`select from ledger_accounts a join coupon_pools p on p.id = a.budget where p.campaign = $1 for update of a nowait`,
		`select from coupons where campaign = $1 for update nowait`,
	} {
		if _, err := s.Pool().Exec(t.Context(), sql, name); err != nil {
			t.Errorf("it waits with something in its hands: %v", err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	k.sound(t)
}

// A piece that goes back into stock waits for a version that is being submitted, and the other
// way round: a limit that is new starts from what is taken then.
func TestAPieceGoesBackUnderTheLimits(t *testing.T) {
	p, s := newShop(t, 5, 2, 2)
	ctx := t.Context()
	for i := range s {
		p.pays(s[i], fmt.Sprint("o-", i), "100.00", p.now())
	}
	// As if there had been no limit so far.
	if _, err := p.Pool().Exec(ctx, `delete from offer_stock`); err != nil {
		t.Fatal(err)
	}
	if err := p.says("back", "order.refunded", s[0].member, p.now(), `{"order":"o-0","refund":"r-1"}`); err != nil {
		t.Fatal(err)
	}
	tx, err := p.Pool().Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(budgets_lock('together'))`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.look(ctx, p.taker, s[0].row) }()
	until(t, "the refund waits for the limits", func() bool {
		select {
		case err := <-done:
			t.Fatalf("the refund did not wait: %v", err)
			return true
		default:
			return waitsForLimits(t, p.Store)
		}
	})
	// As SetStock does.
	if _, err := tx.Exec(ctx, `insert into offer_stock (campaign, offer, stock, taken)
		select 'together', 'card', 5, count(*) from offers where campaign = 'together' and state = 'taken' and not restocked
		on conflict (campaign, offer) do update set stock = excluded.stock`); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.stock(1, 0)
	p.examined()
}

func waitsForLimits(t *testing.T, s *store.Store) (waits bool) {
	t.Helper()
	if err := s.Pool().QueryRow(t.Context(), `select exists (select from pg_locks where locktype = 'advisory' and not granted
		and database = (select oid from pg_database where datname = current_database()))`).Scan(&waits); err != nil {
		t.Fatal(err)
	}
	return waits
}

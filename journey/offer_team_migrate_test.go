package journey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

// buyer has paid an hour after noon, and waits for her team.
func buyer(t *testing.T) *world {
	t.Helper()
	w := enter(t, compile(t, gearSource), "main", event("e-1", "go", noon, "{}"), gearOrder("e-2", "o-1", "380.00", "", noon.Add(time.Hour)))
	w.market = newMarket(500)
	w.run(noon.Add(90 * time.Minute))
	if w.state.Offer.Order != "o-1" || w.market.left != 499 {
		t.Fatal(w.story())
	}
	return w
}

func inMain(c campaign.MigrationChoice) campaign.MigrationChoice {
	c.Journey = "main"
	return c
}

// Who has paid goes on waiting for her team as it was opened, whatever the new version says
// of the offer; its branches are the new version's.
func TestMigrateABuyerGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change        *strings.Replacer
		formed        bool
		outcome       string
		refunds, left int
	}{
		"fails":                   {strings.NewReplacer("size: 3, within: 24h", "size: 5, within: 2h", "end: alone", "end: new-alone"), false, "new-alone", 1, 500},
		"complete":                {strings.NewReplacer("size: 3, within: 24h", "size: 5, within: 2h", "end: together", "end: new-together"), true, "new-together", 0, 499},
		"the team is gone, fails": {strings.NewReplacer("team: {size: 3, within: 24h}", "lock: 24h", "team: {announce: open, remind: {before: 2h, send: missing}}", "", "        failed:\n          - send: failed\n          - end: alone\n", "", `open: "{{ team.code }} {{ team.joined }}/{{ team.size }} {{ local(team.ends_at) }} {{ team.leader }} {{ event.id }}"`, "open: x", `missing: "{{ team.missing }}"`, "missing: x", `formed: "{{ team.size }} {{ event.id }} {{ offer.name }}"`, "formed: x", `failed: "{{ team.joined }}/{{ team.size }}"`, "failed: x"), false, "completed", 1, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := buyer(t)
			if m := w.migrate(noon.Add(2*time.Hour), compile(t, c.change.Replace(gearSource)), inMain(moveTo("1", "1"))); !m.Moves() {
				t.Fatalf("%+v\n%s", m, w.story())
			}
			if c.formed {
				own := w.state.Team.Code
				w.market.others(own, 2, noon.Add(3*time.Hour))
				w.store(news(own, noon.Add(3*time.Hour), noon.Add(3*time.Hour)))
			}
			w.on(noon.Add(2*time.Hour), noon.Add(60*time.Hour))
			if w.done != c.outcome || len(w.refunds) != c.refunds || w.market.left != c.left || !has(w, campaign.TraceMigrated, "how", "waits_on") || w.kinds(campaign.TraceTeamLeft) != 0 {
				t.Errorf("%s, refunds %v, %d left\n%s", w.done, w.refunds, w.market.left, w.story())
			}
		})
	}
}

// Who is moved elsewhere, or ended, leaves her team and is to be paid back; that is not taken
// back. One whose team is complete has what she paid for first.
func TestMigrateABuyerAway(t *testing.T) {
	t.Parallel()
	away := compile(t, strings.Replace(gearSource, "    steps:\n", "    steps:\n      - wait: 1h\n        label: new\n", 1))
	for _, still := range []bool{true, false} {
		w := buyer(t)
		migrate := w.migrate
		if still {
			migrate = w.still
		}
		m := migrate(noon.Add(2*time.Hour), away, inMain(moveTo("1", "1")))
		if !m.Moves() || len(w.refunds) != 1 || w.refunds[0].Reason != campaign.RefundMigrated || w.market.left != 500 || w.kinds(campaign.TraceTeamLeft) != 1 {
			t.Fatalf("%+v, refunds %v\n%s", m, w.refunds, w.story())
		}
		if b := w.back(noon.Add(2*time.Hour), compile(t, gearSource), 1, m, !still); b.Kept != campaign.KeptWithdrawn {
			t.Errorf("%+v", b)
		}
		w.on(noon.Add(2*time.Hour), noon.Add(60*time.Hour))
		if w.done != "lapsed" || len(w.refunds) != 1 || len(w.offers) != 2 {
			t.Errorf("%s, refunds %v\n%s", w.done, w.refunds, w.story())
		}
	}
	w := buyer(t)
	if w.migrate(noon.Add(2*time.Hour), away, inMain(endAs("1", "stopped"))); w.done != "stopped" || len(w.refunds) != 1 || w.market.left != 500 {
		t.Errorf("%s, refunds %v\n%s", w.done, w.refunds, w.story())
	}
	w = buyer(t)
	w.market.others(w.state.Team.Code, 2, noon.Add(100*time.Minute)) // and the news is on its way
	m := w.migrate(noon.Add(2*time.Hour), away, inMain(moveTo("1", "1")))
	if m.Kept == "" || len(w.refunds) != 0 || w.offers[journeyOffer(w)].State != campaign.OfferTaken {
		t.Errorf("%+v, refunds %v\n%s", m, w.refunds, w.story())
	}
}

// A state that an earlier build wrote, without a word of teams of buyers, is read as before.
func TestStatesWithoutBuyers(t *testing.T) {
	t.Parallel()
	w := buyer(t)
	w.state.Offer.Order, w.state.Offer.Paid, w.state.Offer.Team, w.state.Offer.Together, w.state.Offer.GoalDue, w.state.Team = "", campaign.Money{}, "", nil, false, nil
	w.state.Orders = nil
	data, err := w.state.Save()
	if err != nil || strings.Contains(string(data), "together") || strings.Contains(string(data), "goal_due") || strings.Contains(string(data), `"paid"`) {
		t.Fatalf("%s %v", data, err)
	}
	if _, err := journey.LoadState(data); err != nil {
		t.Fatal(err)
	}
}

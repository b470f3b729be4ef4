package simulate

import (
	"context"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/banyanhq/banyan/definitions"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func shipped(t testing.TB) string {
	t.Helper()
	source, err := fs.ReadFile(definitions.Shipped(), "fitness-trial.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

func planFrom(t testing.TB, source string) *Plan {
	t.Helper()
	def, problems := definitions.Check("test.yaml", []byte(source))
	if def == nil {
		t.Fatalf("the campaign does not check:\n%s", problems.Text(false))
	}
	p, err := NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func populationFrom(t testing.TB, p *Plan, source string) *definitions.Population {
	t.Helper()
	pop, problems := definitions.CheckPopulation("population.yaml", []byte(source), p.def)
	if pop == nil {
		t.Fatalf("the population does not check:\n%s", problems.Text(false))
	}
	return pop
}

// first is the day on which the campaigns of these tests begin.
var first = time.Date(2026, 12, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))

const day = 24 * time.Hour

func rehearse(t testing.TB, cfg Config) *Report {
	t.Helper()
	r, err := Rehearse(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

// shop is a campaign in which everything that members share runs out, and in which what
// is refused leads to other claims.
const shop = `
campaign: shop
title: Stock and budgets
window: {from: 2026-12-01, until: 2026-12-31}
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string}
offers:
  lamp: {price: 100, list_price: 120, lock: 2d, stock: 40}
  chair: {price: 50, lock: 3d, grace: 1h, stock: 25}
rewards:
  bonus: {points: 10, budget: 250}
  solace: {points: 3, budget: 100, per_member: 2}
messages:
  hello: "Now {{ yuan(offer.price) }}"
limits:
  quiet_hours: {from: "22:00", until: "08:00"}
  messages_per_member: {times: 1, every: 24h}
segments:
  rich: member.points >= 10
journeys:
  sale:
    start: {on: order.paid, when: event.offer == "entry"}
    goal: {on: order.paid, when: event.offer == "lamp"}
    on_goal: continue
    holdout: 10%
    steps:
      - offer: lamp
        announce: hello
        taken:
          - grant: bonus
        lapsed:
          - grant: solace
      - choose:
          - when: segment("rich")
            steps:
              - end: rich
      - offer: chair
        announce: hello
        taken:
          - grant: bonus
        lapsed:
          - grant: solace
      - tag: left
`

const shopPopulation = `
population: shoppers
arrive: {over: 12d}
hours: {0-7: 0, 18-22: 3}
late: {share: 5%, by: 10m-3h}
behaviour:
  - on: arrive
    do: order.paid
    with: {offer: entry, amount: 1}
  - on: {offer: lamp}
    do: order.paid
    with: {offer: lamp}
    chance: 60%
    after: 1h-50h
  - on: {offer: chair}
    do: order.paid
    with: {offer: chair}
    chance: 60%
    after: 1h-3d
  - on: {event: order.paid, offer: lamp}
    do: order.refunded
    chance: 10%
    after: 1d-2d
`

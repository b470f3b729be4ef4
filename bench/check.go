package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/banyanhq/banyan/definitions"
)

func checkBench() *benchmark {
	return &benchmark{
		name: "check", title: "checking a campaign",
		about: "A valid campaign of as many lines, with segments, offers, rewards, messages and journeys in proportion. " +
			"Beside it, only parsing the same file as YAML.",
		sizes: []size{
			{name: "lines", about: "lines of the campaign", usual: 1000, short: 200, full: 1000},
			{name: "rounds", about: "times that each is measured", usual: 15, short: 2, full: 15},
		},
		run: runCheck,
	}
}

func runCheck(_ context.Context, r *run) error {
	lines := r.size("lines")
	source := []byte(generated(lines))
	of := fmt.Sprintf("%s lines, %s bytes", number(float64(strings.Count(string(source), "\n"))), number(float64(len(source))))
	def, problems := definitions.Check("campaign.yaml", source)
	if def == nil || problems.Refused() {
		return fmt.Errorf("the generated campaign does not check:\n%s", problems.Text(false))
	}
	timed := func(by string, do func() error) func(int) error {
		return func(int) error {
			began := time.Now()
			if err := do(); err != nil {
				return err
			}
			r.add(of, "time", by, "ms", float64(time.Since(began).Microseconds())/1000)
			return nil
		}
	}
	if err := rounds(r.size("rounds"),
		timed("banyan check", func() error {
			if def, problems := definitions.Check("campaign.yaml", source); def == nil {
				return problems
			}
			return nil
		}),
		timed("YAML alone", func() error {
			var tree map[string]any
			return yaml.Unmarshal(source, &tree)
		}),
	); err != nil {
		return err
	}
	r.atMost(of, "milliseconds of a check", r.median(of, "time", "banyan check"), 50)
	return nil
}

// generated writes a valid campaign of at least so many lines, and few more.
func generated(lines int) string {
	for journeys := 1; ; journeys++ {
		if source := campaignOf(journeys); strings.Count(source, "\n") >= lines {
			return source
		}
	}
}

// campaignOf writes a valid campaign with n journeys and all that they use.
func campaignOf(n int) string {
	var b strings.Builder
	printf := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	printf("language: 1\ncampaign: generated\ntitle: generated\ntimezone: Asia/Shanghai\ncurrency: CNY\nmember:")
	printf("  name: string\n  visits: int\n  level: {type: string, one_of: [bronze, silver, gold]}")
	printf("events:\n  order.paid: {order: string, offer: string, amount: money}\n  order.refunded: {order: string}\n  lesson.attended: {lesson: string}")
	printf("segments:")
	for i := range n {
		printf("  fresh-%d: now - member.joined_at < duration(\"%dh\")", i, i+1)
		printf("  busy-%d: 'count(\"lesson.attended\", duration(\"%dh\")) >= %d && !segment(\"fresh-%d\") && member.visits > %d'", i, 24*(i+1), i+1, i, i)
	}
	printf("offers:")
	for i := range n {
		printf("  card-%d:\n    title: 月卡\n    price: %d\n    list_price: %d\n    lock: 48h\n    per_member: 1", i, 100+i, 200+i)
	}
	printf("rewards:")
	for i := range n {
		printf("  gift-%d: {points: %d, budget: 100000, per_member: 1}", i, i+1)
	}
	printf("messages:")
	for i := range n {
		printf("  hello-%d: '{{ member.name }}，{{ segment(\"fresh-%d\") ? \"欢迎\" : \"欢迎回来\" }}！'", i, i)
		printf("  offer-%d: \"{{ member.name }}，月卡 {{ yuan(offer.price) }}（原价 {{ yuan(offer.list_price) }}），到 {{ local(offer.expires_at) }}。\"", i)
		printf("  remind-%d:\n    kind: service\n    text: \"还剩 24 小时：到 {{ local(offer.expires_at) }}。\"", i)
	}
	printf("journeys:")
	for i := range n {
		printf("  way-%d:", i)
		printf("    start: {on: order.paid, when: 'event.offer == \"trial-%d\" && event.amount >= money(\"%d\")'}", i, i+1)
		printf("    entry: once\n    goal: {on: order.paid, when: 'event.offer == \"card-%d\"'}\n    on_goal: continue", i)
		printf("    exit: {on: order.refunded, when: event.order == start.order}\n    steps:")
		printf("      - send: hello-%d", i)
		printf("      - await: lesson.attended\n        for: 7d\n        otherwise:\n          - end: no-show")
		printf("      - offer: card-%d\n        announce: offer-%d\n        remind:\n          - {before: 24h, send: remind-%d}", i, i, i)
		printf("        taken:\n          - grant: gift-%d\n          - choose:\n              - when: segment(\"busy-%d\")", i, i)
		printf("                steps:\n                  - tag: busy-%d\n        lapsed:\n          - tag: careful-%d\n          - end: lapsed", i, i)
		printf("      - end: champion")
	}
	return b.String()
}

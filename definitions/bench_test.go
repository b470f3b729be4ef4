package definitions_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
)

// thousandLines is a valid campaign of a thousand lines: more than anybody has written so
// far, with as many expressions, messages and steps as fit.
func thousandLines(tb testing.TB) []byte {
	tb.Helper()
	var b strings.Builder
	b.WriteString(`language: 1
campaign: large
title: A large campaign
timezone: Asia/Shanghai
currency: CNY
member:
  city: string
  level: {type: string, one_of: [bronze, silver, gold]}
  visits: int
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
segments:
`)
	const journeys = 36
	for i := range 3 * journeys {
		fmt.Fprintf(&b, "  s%d: member.visits > %d && member.city != \"c%d\" && now - member.joined_at < duration(\"%dh\")\n", i, i, i, i+24)
	}
	b.WriteString("messages:\n")
	for i := range 3 * journeys {
		fmt.Fprintf(&b, "  m%d:\n    kind: service\n    text: '{{ member.city }} {{ local(now) }} {{ segment(\"s%d\") ? \"a\" : \"b\" }} %d'\n", i, i, i)
	}
	b.WriteString("journeys:\n")
	for i := range journeys {
		fmt.Fprintf(&b, `  j%[1]d:
    start: {on: order.paid, when: 'event.amount > money("%[1]d") && !segment("s%[1]d")'}
    entry: once
    goal: {on: lesson.attended, when: 'event.lesson == "swim-%[1]d"'}
    steps:
      - send: m%[2]d
      - wait: 24h
      - choose:
          - when: member.visits > %[1]d
            steps:
              - send: m%[3]d
        otherwise:
          - send: m%[4]d
      - await: lesson.attended
        for: 48h
        when: 'event.lesson == "yoga-%[1]d"'
        otherwise:
          - end: lost
      - end: done
`, i, 3*i, 3*i+1, 3*i+2)
	}
	source := b.String()
	if lines := strings.Count(source, "\n"); lines < 1000 {
		tb.Fatalf("the campaign has %d lines", lines)
	}
	return []byte(source)
}

// BenchmarkCheck checks a campaign of a thousand lines. The goal is 50 ms.
func BenchmarkCheck(b *testing.B) {
	source := thousandLines(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, problems := definitions.Check("large.yaml", source); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

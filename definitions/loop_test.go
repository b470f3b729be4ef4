package definitions_test

import (
	"strings"
	"testing"

	"github.com/banyanhq/banyan/definitions"
)

const loopHead = `
campaign: spring
title: Spring
events:
  order.paid: {order: string, offer: string, amount: money}
offers:
  card: {price: 10, lock: 48h, per_member: 1}
journeys:
  j:
    start: {on: order.paid}
    exit: {on: order.paid, when: event.offer == "other"}
    steps:
`

// An offer that a member has taken as often as she may is passed by at once, so a loop
// over it needs another wait; one over its lapse does not.
func TestALoopOverAnOfferThatMayBeSkipped(t *testing.T) {
	t.Parallel()
	for steps, refused := range map[string]bool{
		"      - {offer: card, label: again}\n      - goto: again\n":                   true,
		"      - {offer: card, label: again}\n      - wait: 1d\n      - goto: again\n": false,
		"      - offer: card\n        label: again\n        lapsed: [{goto: again}]\n": false,
		// Reached by whoever has the card already.
		"      - offer: card\n        taken: [{end: a}]\n        lapsed: [{end: b}]\n      - tag: owner\n": false,
	} {
		_, problems := definitions.Check("spring.yaml", []byte(loopHead+steps))
		if text := problems.Text(false); strings.Contains(text, "loop-without-wait") != refused || strings.Contains(text, "unreachable") {
			t.Errorf("%s%s", steps, text)
		}
	}
}

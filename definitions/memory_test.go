package definitions_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/banyanhq/banyan/definitions"
)

// mostMemory is what no file may take while it is checked or formatted.
const mostMemory = 64 << 20

// peakOf runs f and gives the most memory that was in use at once: what each of the
// collections found alive that were forced on the way. It does not depend on how fast the
// machine is.
func peakOf(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	live := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before := live()
	var peak atomic.Uint64
	var over atomic.Bool
	var watch func()
	watch = func() {
		// The finalizer of what nobody holds runs after each collection.
		runtime.SetFinalizer(&struct{ _ [16]byte }{}, func(any) {
			for now := live(); ; {
				old := peak.Load()
				if now <= old || peak.CompareAndSwap(old, now) {
					break
				}
			}
			if !over.Load() {
				watch()
			}
		})
	}
	watch()
	f()
	runtime.GC()
	over.Store(true)
	if now := live(); now > peak.Load() {
		return now - min(now, before)
	}
	return peak.Load() - min(peak.Load(), before)
}

// hostile are files that are made to be expensive; what is in want refuses them, and
// nothing where they are accepted.
func hostile() map[string]struct{ source, want string } {
	chain := strings.Repeat("member.points > 1 && ", 180) + "true"
	var conditions, texts strings.Builder
	for i := range 240 {
		fmt.Fprintf(&conditions, "      - choose: [{when: '%s && member.points != %d', steps: [{tag: t}]}]\n", chain, i)
		fmt.Fprintf(&texts, "  m%d: '%s%d'\n", i, strings.Repeat("{{ member.id }} ", 240), i)
	}
	var steps strings.Builder
	for i := range 800 {
		fmt.Fprintf(&steps, "      - {send: hello, label: l%d}\n", i)
		fmt.Fprintf(&steps, "      - await: order.paid\n        when: event.offer == \"o%d\"\n        for: 1d\n", i)
		fmt.Fprintf(&steps, "        otherwise: [{tag: t%d}, {goto: l%d}]\n", i, i)
		fmt.Fprintf(&steps, "      - {choose: [{when: 'now > now', steps: [{end: done}]}]}\n")
	}
	condition := func(cel string) string {
		return head + "segments:\n  s: '" + cel + "'\n" + journeyOf("      - wait: 1d\n")
	}
	return map[string]struct{ source, want string }{
		"alias bomb":                    {bomb(30), "alias-bomb"},
		"wide alias bomb":               {bomb(3) + "b: [" + strings.Repeat("*a3,", 20_000) + "]\n", "alias-bomb"},
		"brackets":                      {strings.Repeat("[", 1<<20), "too-deep"},
		"a list of a million nothings":  {"a: [" + strings.Repeat(",x", 500_000) + "]\n", ""},
		"10,000 steps":                  {head + journeyOf(strings.Repeat("      - wait: 1d\n", 10_000)), "too-many-steps"},
		"10,000 steps in one line":      {head + "journeys: {main: {start: {api: true}, goal: {on: order.paid}, steps: [" + strings.Repeat("{wait: 1d},", 10_000) + "]}}\n", "too-many-steps"},
		"10,000 mistakes":               {head + journeyOf(strings.Repeat("      - wat: 1d\n", 10_000)), "too-many-problems"},
		"an expression of a MiB":        {condition(strings.Repeat("x+", 1<<19-500) + "x"), "expression-size"},
		"an expression of brackets":     {condition(strings.Repeat("(", 3_900)), "expression-size"},
		"an expression of minuses":      {condition(strings.Repeat("-", 3_900) + "1"), "expression-type"},
		"an expression of questions":    {condition(strings.Repeat("true ? ", 500) + "1"), "expression-s"},
		"an expression of tests":        {condition(strings.Repeat("member.tags.all(a, ", 200) + "true" + strings.Repeat(")", 200)), "expression-size"},
		"a pattern that repeats":        {condition(`member.source.matches("((a{100}){100}){100}")`), "bad-pattern"},
		"a template of a MiB":           {head + "messages:\n  m: '" + strings.Repeat("{{x}}", 200_000) + "'\n" + journeyOf("      - send: m\n"), "too-long"},
		"braces without end":            {head + "messages:\n  m: '" + strings.Repeat("{{", 1_990) + "'\n" + journeyOf("      - send: m\n"), "template-braces"},
		"240 long conditions":           {head + journeyOf(conditions.String()), ""},
		"240 long texts":                {head + "messages:\n" + texts.String() + journeyOf("      - wait: 1d\n"), ""},
		"as many steps as there may be": {head + "messages: {hello: 'Hello {{ member.id }}'}\n" + journeyOf(steps.String()), ""},
		"50,000 names":                  {head + "messages: {" + manyNames(50_000) + "}\n" + journeyOf("      - wait: 1d\n"), ""},
		"a MiB of comments":             {head + strings.Repeat("# c\n", 1<<18-100) + journeyOf("      - wait: 1d\n"), ""},
		"a MiB of empty lines":          {head + strings.Repeat("\n", 1<<20-400) + journeyOf("      - wait: 1d\n"), ""},
		"a very long line":              {head + "timezone: " + strings.Repeat("x", 900_000) + "\n", "unknown-timezone"},
		"anchors":                       {"a: [" + strings.Repeat("&a x,", 150_000) + "]\n", "unknown-key"},
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "m%d: x, ", i)
	}
	return b.String()
}

// TestMemory checks that no file takes more than 64 MiB, nor so long that it hangs,
// whether it is checked or formatted. The limit of time is far away on purpose; what it
// took is logged.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("collects garbage all the time")
	}
	for name, c := range hostile() {
		t.Run(name, func(t *testing.T) {
			source := []byte(c.source)
			began := time.Now()
			var found definitions.Problems
			checked := peakOf(func() { _, found = definitions.Check("f.yaml", source) })
			took := time.Since(began)
			formatted := peakOf(func() { _, _, _ = definitions.Format("f.yaml", source) })
			t.Logf("%d bytes: checking took %d KiB and %v, formatting %d KiB", len(source), checked>>10, took, formatted>>10)
			if checked > mostMemory || formatted > mostMemory {
				t.Errorf("checking took %d bytes, formatting %d; at most %d are allowed", checked, formatted, mostMemory)
			}
			if c.want != "" && !strings.Contains(found.Text(false), "["+c.want) {
				t.Errorf("it is not refused as %s:\n%.500s", c.want, found.Text(false))
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

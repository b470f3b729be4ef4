package definitions_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

const head = "campaign: big\ntitle: Big\nevents:\n  order.paid: {order: string, offer: string, amount: money}\n"

// bomb makes levels of aliases, each standing ten times for the one before.
func bomb(levels int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range levels {
		fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	return b.String()
}

// TestRefusedFast checks that what is made to be expensive is refused, with a position
// where there is one, before it costs anything.
func TestRefusedFast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, check string }{
		"a MiB and a byte":     {strings.Repeat("#", 1<<20+1), "file-too-large"},
		"a GBK file":           {"campaign: spring\ntitle: \xb4\xba\xbc\xbe\n", "not-utf8"},
		"UTF-16":               {"\xff\xfea\x00:\x00", "not-utf8"},
		"a control character":  {head + "currency: C\x00NY\n", "control-character"},
		"a mark in the middle": {head + "\ufeffcurrency: CNY\n", "control-character"},
		"an alias bomb":        {bomb(30), "alias-bomb"},
		"a wide alias bomb":    {bomb(3) + "b: [" + strings.Repeat("*a3,", 20_000) + "]\n", "alias-bomb"},
		"brackets":             {strings.Repeat("[", 1<<20), "too-deep"},
		"braces":               {strings.Repeat("{a: ", 200_000), "too-deep"},
		"dashes":               {strings.Repeat("- ", 500_000), "too-deep"},
		"indentation":          {nested(400), "too-deep"},
		"aliases in depth":     {deepAliases(200), "too-deep"},
		"too many steps":       {head + journeyOf(strings.Repeat("      - wait: 1d\n", 10_000)), "too-many-steps"},
		"too many problems":    {head + journeyOf(strings.Repeat("      - wat: 1d\n", 15_000)), "too-many-problems"},
		"one long line":        {head + "offers: {" + strings.Repeat("a: 1, ", 100_000) + "}\n", "duplicate-key"},
		"a long name":          {head + "timezone: " + strings.Repeat("x", 900_000) + "\n", "unknown-timezone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			def, found := definitions.Check("f.yaml", []byte(c.source))
			if def != nil {
				t.Fatal("the file was accepted")
			}
			ok := false
			for _, p := range found {
				if p.Check == c.check {
					ok = p.Line > 0 || c.check == "file-too-large"
				}
			}
			if text := found.Text(false); !ok || len(text) > 1<<20 {
				t.Errorf("no %s with a position in %d bytes:\n%.2000s", c.check, len(text), text)
			}
			positions(t, []byte(c.source), found)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func nested(levels int) string {
	var b strings.Builder
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// deepAliases is shallow as it is written and deep as it is meant.
func deepAliases(levels int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x]\n")
	for i := range levels {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d]\n", i+1, i+1, i)
	}
	return b.String()
}

func journeyOf(steps string) string {
	return "journeys:\n  main:\n    start: {api: true}\n    goal: {on: order.paid}\n    steps:\n" + steps
}

// TestBigCampaign checks that as many steps as there may be, of every shape, are checked in a time
// that a person waits for.
func TestBigCampaign(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(head + "messages: {hello: 'Hello {{ member.id }}'}\n")
	var steps strings.Builder
	for i := range 800 {
		fmt.Fprintf(&steps, "      - {send: hello, label: l%d}\n", i)
		fmt.Fprintf(&steps, "      - await: order.paid\n        when: event.offer == \"o%d\"\n        for: 1d\n", i)
		fmt.Fprintf(&steps, "        otherwise: [{tag: t%d}, {goto: l%d}]\n", i, i)
		fmt.Fprintf(&steps, "      - {choose: [{when: 'now > now', steps: [{end: done}]}]}\n")
	}
	b.WriteString(journeyOf(steps.String()))
	began := time.Now()
	def, found := definitions.Check("big.yaml", []byte(b.String()))
	if def == nil {
		t.Fatalf("%.2000s", found.Text(false))
	}
	took := time.Since(began)
	t.Logf("%d bytes, 4,800 steps: %v", b.Len(), took)
	if took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestManyWarnings checks that warnings refuse nothing, however many there are.
func TestManyWarnings(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(head + "messages:\n")
	for i := range 3_000 {
		fmt.Fprintf(&b, "  m%d: Hello\n", i)
	}
	b.WriteString(journeyOf("      - wait: 1d\n"))
	if def, found := definitions.Check("f.yaml", []byte(b.String())); def == nil || len(found) == 0 || len(found) > 1_000 {
		t.Errorf("%d warnings, accepted: %v", len(found), def != nil)
	}
}

// TestProblem checks the two forms of a problem that are not Text.
func TestProblem(t *testing.T) {
	t.Parallel()
	source := head + "offers: {card: {price: 199, lock: 2 days}}\n" +
		journeyOf("      - wait: 1d\n      - offer: crad\n        remind: [{before: 1h, send: x}]\n")
	_, found := definitions.Check("f.yaml", []byte(source))
	body, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"line":5,"column":35,"path":"offers.card.lock","check":"bad-duration","message":"\"2 days\" is not a duration",` +
		`"hint":"the unit is one of s, m, h, d, w"},` +
		`{"line":12,"column":16,"path":"journeys.main.steps[1].offer","check":"unknown-offer","message":"unknown offer \"crad\"",` +
		`"hint":"did you mean \"card\"? allowed: card"},` +
		`{"line":13,"column":37,"path":"journeys.main.steps[1].remind[0].send","check":"unknown-message","message":"unknown message \"x\"",` +
		`"hint":"none is declared"}]`
	if string(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	var failed error = found
	if !strings.HasPrefix(failed.Error(), `f.yaml:5:35: "2 days" is not a duration [bad-duration]: the unit`) {
		t.Error(failed)
	}
	if text := found.Text(true); !strings.Contains(text, "\x1b[31m^~~~") {
		t.Errorf("no colour in %q", text)
	}
}

// TestCurrencies checks that the currencies in messages are those that money knows.
func TestCurrencies(t *testing.T) {
	t.Parallel()
	_, found := definitions.Check("f.yaml", []byte(head+"currency: XXX\n"+journeyOf("      - wait: 1d\n")))
	_, allowed, ok := strings.Cut(found[0].Hint, "allowed: ")
	if !ok {
		t.Fatal(found)
	}
	for c := range strings.SplitSeq(allowed, ", ") {
		if !campaign.Currency(c).Valid() {
			t.Errorf("currency %q is allowed and not valid", c)
		}
	}
}

// FuzzCheck looks for a text that makes the checker panic, that takes it long, or that
// it accepts and refuses at once.
func FuzzCheck(f *testing.F) {
	for _, folder := range []string{"testdata/ok", "testdata/err"} {
		files, err := filepath.Glob(folder + "/*.txtar")
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(part(archive, input).Data)
		}
	}
	shipped, err := os.ReadFile("fitness-trial.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	f.Fuzz(func(t *testing.T, source []byte) {
		began := time.Now()
		def, found := definitions.Check("f.yaml", source)
		if (def == nil) != found.Refused() {
			t.Fatalf("definition %v with %v", def != nil, found)
		}
		_ = found.Text(true)
		positions(t, source, found)
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("it took %v", took)
		}
		if len(source) < 10_000 {
			agree(t, "f.yaml", source, def != nil)
		}
		if def == nil {
			return
		}
		body, err := json.Marshal(def)
		if err != nil {
			t.Fatal(err)
		}
		var again campaign.Definition
		if err := json.Unmarshal(body, &again); err != nil {
			t.Fatal(err)
		}
	})
}

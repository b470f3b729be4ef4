package rules_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/banyanhq/banyan/rules"
)

// scalar is a condition as segments have it.
const scalar = `member.points > 3 && now - member.joined_at < duration("720h") && "parent" in member.tags`

// BenchmarkPlainGo is the same condition as BenchmarkScalar, written in Go.
func BenchmarkPlainGo(b *testing.B) {
	f := facts()
	n := 0
	for b.Loop() {
		if f.Member.Points > 3 && f.Now.Sub(f.Member.JoinedAt) < 720*time.Hour && slices.Contains(f.Member.Tags, "parent") {
			n++
		}
	}
}

// BenchmarkScalar asks one member again and again, as a journey's turn does.
func BenchmarkScalar(b *testing.B) { benchmark(b, scalar, []*rules.Facts{facts()}) }

// BenchmarkScalarScan asks 4,096 different members in turn, as a segment scan does.
func BenchmarkScalarScan(b *testing.B) { benchmark(b, scalar, members()) }

// BenchmarkAttributeScan reads an attribute that is stored as JSON.
func BenchmarkAttributeScan(b *testing.B) {
	benchmark(b, `member.visits > 3 && member.level == "gold"`, members())
}

// BenchmarkEvent reads an event's properties, as a goal's condition does.
func BenchmarkEvent(b *testing.B) {
	benchmark(b, `event.offer == "monthly-card" && event.amount >= money("199")`, []*rules.Facts{facts()})
}

// BenchmarkSegments asks segments that ask others.
func BenchmarkSegments(b *testing.B) { benchmark(b, `segment("core")`, []*rules.Facts{facts()}) }

// BenchmarkDearest comes as near to MaxCost as a test of tags does, for a member who has
// as many and as long ones as the estimate expects.
func BenchmarkDearest(b *testing.B) {
	f := facts()
	f.Member.Tags = nil
	for i := range 50 {
		f.Member.Tags = append(f.Member.Tags, fmt.Sprintf("%060d", i))
	}
	benchmark(b, `member.tags.exists(t, t.contains(member.id)) || member.tags.all(t, t < member.name) `, []*rules.Facts{f})
}

// BenchmarkCompileCached is what looking an expression up costs that was compiled before.
func BenchmarkCompileCached(b *testing.B) {
	env := newEnv(b)
	for b.Loop() {
		if _, issues := env.Compile(scalar, everywhere(), rules.WantBool); issues != nil {
			b.Fatal(issues)
		}
	}
}

// BenchmarkCompile compiles anew each time.
func BenchmarkCompile(b *testing.B) {
	env := newEnv(b)
	i := 0
	for b.Loop() {
		i++
		compile(b, env, fmt.Sprintf("%s || member.points == %d", scalar, i), everywhere(), rules.WantBool)
	}
}

// BenchmarkRender writes the message of the language's page.
func BenchmarkRender(b *testing.B) {
	env := newEnv(b)
	tpl, issues := env.CompileTemplate(`{{ member.name }}，月卡 {{ yuan(offer.price) }} 为你锁定到 {{ local(offer.expires_at) }}`, everywhere())
	if len(issues) > 0 {
		b.Fatal(issues)
	}
	f := facts()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tpl.Render(f); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmark(b *testing.B, src string, all []*rules.Facts) {
	b.Helper()
	x := compile(b, newEnv(b), src, everywhere(), rules.WantBool)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		if _, err := x.Bool(all[i%len(all)]); err != nil {
			b.Fatal(err)
		}
	}
}

func members() []*rules.Facts {
	all := make([]*rules.Facts, 4096)
	for i := range all {
		all[i] = facts()
		m := all[i].Member
		m.ID, m.Points = fmt.Sprintf("m-%d", i), int64(i)
		m.JoinedAt = noon.Add(-time.Duration(i) * time.Hour)
		m.Attributes["visits"] = raw(fmt.Sprint(i % 30))
		m.Attributes["level"] = raw(`"` + []string{"bronze", "silver", "gold"}[i%3] + `"`)
		if i%25 > 0 {
			m.Tags = []string{"早鸟", fmt.Sprintf("group-%d", i%7)}
		}
	}
	return all
}

// TestScalarAllocatesNothing holds what the design asks for: a condition over plain facts
// makes no garbage.
func TestScalarAllocatesNothing(t *testing.T) {
	env := newEnv(t)
	f := facts()
	for _, src := range []string{
		scalar,
		`member.points > 3 && member.joined_at > timestamp("2026-12-01T00:00:00+08:00") && "parent" in member.tags`,
		`member.visits > 3 && member.level == "silver" && member.vip`,
		`event.offer == "monthly-card" && event.amount >= money("199") && start.order != event.order`,
		`offer.expires_at > now && segment("staff")`,
		`now.getHours() < 22 && member.spent < money("1000.00")`,
	} {
		x := compile(t, env, src, everywhere(), rules.WantBool)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := x.Bool(f); err != nil {
				t.Fatal(err)
			}
		}); n > 0 && !raceEnabled {
			t.Errorf("%s allocates %v times", src, n)
		}
	}
}

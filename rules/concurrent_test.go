package rules_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/banyanhq/banyan/rules"
)

func TestConcurrentUse(t *testing.T) {
	env := newEnv(t)
	shared := compile(t, env, `segment("core") && event.amount > money("1") && member.points > 3`, everywhere(), rules.WantBool)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			f := facts()
			f.Member.Points = int64(g)
			for i := range 100 {
				if got, err := shared.Bool(f); err != nil || got != (g > 3) {
					t.Errorf("%d: %v, %v", g, got, err)
					return
				}
				src := fmt.Sprintf(`{{ member.points + %d }}/{{ count("order.paid") }}`, i%10)
				tpl, issues := env.CompileTemplate(src, everywhere())
				if len(issues) > 0 {
					t.Error(issues)
					return
				}
				if got, err := tpl.Render(f); err != nil || got != fmt.Sprintf("%d/2", g+i%10) {
					t.Errorf("%s = %s, %v", src, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

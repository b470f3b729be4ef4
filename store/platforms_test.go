package store_test

import (
	"fmt"
	"testing"
)

// What is counted of receivers is forgotten when it counts no more, whether they are sent
// to again or not.
func TestCountsOfReceiversAreForgotten(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	for i := range 5 {
		if wait, err := s.TakeSend(ctx, "wecom/corp", fmt.Sprintf("u-%d", i), 30, 1000); err != nil || wait != 0 {
			t.Fatalf("%v, %v", wait, err)
		}
	}
	if n, err := s.ForgetSends(ctx, 10); err != nil || n != 0 {
		t.Errorf("%d are forgotten at once, %v", n, err)
	}
	if _, err := s.Pool().Exec(ctx, `update platform_sends set slot = slot - case when ctid < '(0,5)' then interval '3 hours' else interval '0' end`); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{3, 1, 0} {
		if n, err := s.ForgetSends(ctx, 3); err != nil || n != want {
			t.Errorf("%d are forgotten, %v; want %d", n, err, want)
		}
	}
	if left := count(t, s, "select count(*) from platform_sends"); left != 1 {
		t.Errorf("%d are left", left)
	}
}

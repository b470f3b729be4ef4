package store_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const day = 24 * time.Hour

// A benefit begins at once, goes on where it lasts, and ends; what was for ever stays so.
func TestBenefits(t *testing.T) {
	s := open(t)
	month := campaign.Reward{Name: "month", Benefit: &campaign.BenefitGrant{Benefit: "vip", For: 30 * day}}
	week := campaign.Reward{Name: "week", Benefit: &campaign.BenefitGrant{Benefit: "vip", For: 7 * day}}
	ever := campaign.Reward{Name: "ever", Benefit: &campaign.BenefitGrant{Benefit: "gym"}}
	k, name := newTill(t, s, nil, 2, month, week, ever)
	ctx, member := t.Context(), name+"-1"
	grant := func(key string, of *campaign.Reward) *campaign.Piece {
		t.Helper()
		a, err := k.grant(ctx, []wish{{k.rows[0], key, of}}, nil)
		if err != nil || !a[0].OK || a[0].Piece == nil {
			t.Fatalf("%+v, %v", a, err)
		}
		return a[0].Piece
	}
	first := grant("a", &month)
	if first.Extended || first.Until.Sub(first.From) != 30*day {
		t.Errorf("%+v", first)
	}
	if p := grant("b", &week); !p.Extended || !p.From.Equal(first.Until) || p.Until.Sub(first.From) != 37*day {
		t.Errorf("made longer: %+v after %+v", p, first)
	}
	if p := grant("c", &ever); p.Extended || !p.Until.IsZero() {
		t.Errorf("for ever: %+v", p)
	}
	if p := grant("d", &ever); !p.Extended || !p.Until.IsZero() {
		t.Errorf("for ever again: %+v", p)
	}
	m, err := s.Member(ctx, member)
	if err != nil || len(m.Benefits) != 2 || m.Benefits[0].Name != "gym" || !m.Benefits[0].Until.IsZero() || m.Benefits[1].Until.Sub(first.From) != 37*day {
		t.Errorf("%+v, %v", m.Benefits, err)
	}
	k.sound(t)
	// The first is taken back after ten days: the one that was to follow it begins then.
	at := first.From.Add(10 * day)
	for _, want := range []string{"revoked", ""} {
		if done, err := s.VoidGrant(ctx, "a", at); err != nil || done != want {
			t.Errorf("%q, %v; want %q", done, err, want)
		}
	}
	lines, err := s.MemberBenefits(ctx, member)
	if err != nil || len(lines) != 2 {
		t.Fatalf("%+v, %v", lines, err)
	}
	for _, b := range lines {
		if b.Benefit == "vip" && (!b.Lasts || b.Until.Sub(first.From) != 17*day || len(b.Grants) != 2) {
			t.Errorf("%+v", b)
		}
	}
	k.sound(t)
	if done, err := s.VoidGrant(ctx, "b", first.From.Add(17*day)); err != nil || done != "" {
		t.Errorf("what is over is not taken back: %q, %v", done, err)
	}
	if list, err := s.MemberBenefits(ctx, name+"-2"); err != nil || len(list) != 0 {
		t.Errorf("somebody else's: %+v, %v", list, err)
	}
	report, err := s.Report(ctx, name)
	if err != nil || len(report.Benefits) != 3 || report.Benefits[1].Revoked != 1 || report.Benefits[0].Members != 1 {
		t.Errorf("%+v, %v", report.Benefits, err)
	}
}

// The store grants a benefit as the pure rule does, whatever the order of grants.
func TestBenefitsAsTheRuleSays(t *testing.T) {
	s := open(t)
	rewards := []campaign.Reward{
		{Name: "hour", Benefit: &campaign.BenefitGrant{Benefit: "vip", For: time.Hour}},
		{Name: "day", Benefit: &campaign.BenefitGrant{Benefit: "vip", For: day}},
		{Name: "ever", Benefit: &campaign.BenefitGrant{Benefit: "vip"}},
		{Name: "gym", Benefit: &campaign.BenefitGrant{Benefit: "gym", For: 7 * day}},
	}
	k, name := newTill(t, s, &store.DemoClock{Factor: campaign.MaxClockFactor, From: time.Now()}, 200, rewards...)
	next := 0
	rapid.Check(t, func(t *rapid.T) {
		if next == len(k.rows) {
			t.Skip("no member is left")
		}
		row := k.rows[next]
		next++
		var has []campaign.Benefit
		for i, pick := range rapid.SliceOfN(rapid.IntRange(0, len(rewards)-1), 1, 6).Draw(t, "rewards") {
			r := &rewards[pick]
			a, err := k.grant(t.Context(), []wish{{row, fmt.Sprintf("%s/%d/%d", name, row, i), r}}, nil)
			if err != nil || !a[0].OK {
				t.Fatalf("%+v, %v", a, err)
			}
			p := a[0].Piece
			now := p.From
			if p.Extended {
				// Since when is known only where it began at once; the rule is asked at the moment of the grant.
				now = time.Time{}
			}
			var at time.Time
			if err := k.Pool().QueryRow(t.Context(), `select at from grants where key = $1`, fmt.Sprintf("%s/%d/%d", name, row, i)).Scan(&at); err != nil {
				t.Fatal(err)
			}
			after, want := r.Benefit.Grant(has, at)
			if p.Extended != want.Extended || !p.Until.Equal(want.Until) || !now.IsZero() && !now.Equal(want.From) {
				t.Fatalf("granted %+v, the rule says %+v", p, want)
			}
			has = after
		}
	})
	k.sound(t)
}

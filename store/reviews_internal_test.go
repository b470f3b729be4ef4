package store

import (
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Who is asked, whose claim holds and whether it can be decided follow from the clock.
func TestAReviewByTheClock(t *testing.T) {
	t.Parallel()
	opened := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	at := func(hours float64) *time.Time {
		t := opened.Add(time.Duration(hours * float64(time.Hour)))
		return &t
	}
	for _, c := range []struct {
		now, claimed float64 // hours after the opening; claimed 0: nobody has
		backup       bool
		asked, by    string
		over         bool
	}{
		{0, 0, true, "coach", "", false},
		{23.9, 1, true, "coach", "li", false},
		{24, 1, true, "owner", "", false},
		{24, 24, true, "owner", "li", false},
		{47, 25, true, "owner", "li", false},
		{48, 25, true, "owner", "li", false}, // the last moment is in time
		{48.001, 25, true, "", "li", true},
		{23.9, 1, false, "coach", "li", false},
		{24, 1, false, "coach", "li", false},
		{24.001, 1, false, "", "li", true},
	} {
		row := db.GetReviewRow{
			ID: 7, Kind: string(campaign.ReviewDecide), State: "open", Detail: []byte(`{}`), Role: "coach", Otherwise: "reject", At: opened,
			ClosesAt: at(24), ClockFactor: 1, Now: *at(c.now),
		}
		if c.backup {
			row.Backup, row.EscalatesAt, row.ClosesAt = "owner", at(24), at(48)
		}
		if c.claimed > 0 {
			row.ClaimedBy, row.ClaimedAt = "li", at(c.claimed)
		}
		r, err := reviewOf(row)
		if err != nil || r.Asked() != c.asked || r.ClaimedBy != c.by || r.ClaimedAt.IsZero() != (c.by == "") {
			t.Errorf("%+v: asked %q, claimed by %q, %v", c, r.Asked(), r.ClaimedBy, err)
		}
		if err := r.decidable(); (err != nil) != c.over || c.over && !strings.Contains(err.Error(), "rejected") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	withdrawn := db.GetReviewRow{State: "withdrawn", Detail: []byte(`{}`), DecidedAt: at(1), ClockFactor: 1, Now: *at(2)}
	if r, err := reviewOf(withdrawn); err != nil || r.Asked() != "" || r.decidable() == nil || !strings.Contains(r.decidable().Error(), "left the journey") {
		t.Errorf("%+v, %v", r, err)
	}
}

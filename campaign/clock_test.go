package campaign_test

import (
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// A demo clock never runs backwards: neither for what was stored days before it was
// started, nor after it has run for days.
func TestADemoClockNeverRunsBackwards(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, factor := range []int64{2, 3600, campaign.MaxClockFactor} {
		c := campaign.Clock{Factor: factor, Real: started, Start: started.AddDate(1, 0, 0)}
		last := time.Time{}
		for at := started.AddDate(-20, 0, 0); at.Before(started.AddDate(20, 0, 0)); at = at.Add(7 * time.Hour) {
			shows := c.At(at)
			if shows.Before(last) {
				t.Fatalf("factor %d: at %s it shows %s, after %s", factor, at, shows, last)
			}
			last = shows
		}
		if got := c.At(started.Add(time.Second)); !got.Equal(c.Start.Add(time.Duration(factor) * time.Second)) {
			t.Errorf("factor %d: after a second it shows %s", factor, got)
		}
	}
}

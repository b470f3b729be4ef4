package starter

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/banyanhq/banyan/store"
)

// WriteReport writes a report for people. Of a campaign with several versions in
// flight each has its part.
func WriteReport(w io.Writer, r *store.Report) error {
	t := &text{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	t.line("%s – %s: %s, version %d, as of %s", r.Campaign, r.Title, r.State, r.Version, local(r.Now, r.Timezone))
	for i := range r.Journeys {
		t.journey(&r.Journeys[i])
	}
	if len(r.Journeys) == 0 {
		t.line("")
		t.line("nobody has entered yet")
	}
	t.offers(r)
	t.teams(r)
	t.rewards(r)
	t.points(r)
	t.messages(r)
	t.calls(r)
	t.trouble(r)
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// text writes lines whose cells are aligned, and remembers the first error.
type text struct {
	w   *tabwriter.Writer
	err error
}

func (t *text) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *text) head(title string) {
	t.line("")
	t.line("%s", title)
}

func (t *text) journey(j *store.JourneyReport) {
	t.head(fmt.Sprintf("journey %s, version %d", j.Journey, j.Version))
	held := ""
	if j.HeldOut > 0 {
		held = fmt.Sprintf(", %d of them held out", j.HeldOut)
	}
	t.line("  %d entered%s, %d under way", j.Entered, held, j.Active)
	if j.Moved > 0 {
		t.line("  %d others were brought to another version", j.Moved)
	}
	for _, o := range j.Outcomes {
		t.line("  ended\t%s\t%d\t%s", o.Outcome, o.Members, percentOf(o.Members, j.Entered))
	}
	for _, s := range j.Steps {
		t.line("  step %s\t%s\t%d\t%s", s.Step, s.Name, s.Reached, percentOf(s.Reached, j.Entered+j.Moved))
	}
	if g := j.Goal; g != nil {
		t.line("  goal\t%s\tworth %s %s", rateText(g.Converted), g.Value.Amount, g.Value.Currency)
		if n := g.Net; n != nil {
			t.line("  net of refunds\t%s\tworth %s %s\t(%d reversed, %s %s went back)", rateText(n.Converted), n.Value.Amount, n.Value.Currency,
				n.Reversed, n.Refunded.Amount, n.Refunded.Currency)
		}
		if g.HeldOut != nil {
			t.line("  holdout\t%s", rateText(*g.HeldOut))
		}
		if u := g.Uplift; u != nil {
			t.line("  uplift\t%s", upliftText(u))
		}
	}
	for _, s := range j.Splits {
		t.split(&s)
	}
}

// split compares each arm with the first.
func (t *text) split(s *store.SplitReport) {
	for i, a := range s.Arms {
		line := fmt.Sprintf("  split %s\t%s (%g %%)\t%s", s.Split, a.Arm, math.Round(10_000*a.Share)/100, counted(a.Members, "member"))
		if a.Converted != nil {
			line += fmt.Sprintf("\t%s\tworth %s %s", rateText(*a.Converted), a.Value.Amount, a.Value.Currency)
		}
		if a.Uplift != nil {
			line += fmt.Sprintf("\tagainst %s: %s", s.Arms[0].Arm, upliftText(a.Uplift))
		}
		if t.line("%s", line); i == len(s.Arms)-1 && a.Converted == nil {
			t.line("  without a goal there is nothing to compare")
		}
	}
}

func upliftText(u *store.Uplift) string {
	verdict := "may be chance"
	if u.Clear {
		verdict = "hardly chance"
	}
	return fmt.Sprintf("%+.1f points (95 %%: %+.1f to %+.1f), %s", 100*u.Difference, 100*u.Low, 100*u.High, verdict)
}

func (t *text) offers(r *store.Report) {
	if len(r.Offers)+len(r.Stock) == 0 {
		return
	}
	t.head("offers")
	for _, o := range r.Offers {
		line := fmt.Sprintf("  %s, version %d\topened %d\ttaken %d\tlapsed %d\twithdrawn %d\topen %d\tpaid %s %s",
			o.Offer, o.Version, o.Opened, o.Taken, o.Lapsed, o.Withdrawn, o.Open, o.Paid.Amount, o.Paid.Currency)
		if o.Refunded > 0 {
			line += fmt.Sprintf("\trefunded %d", o.Refunded)
		}
		t.line("%s", line)
	}
	for _, s := range r.Stock {
		line := fmt.Sprintf("  %s\tstock %d\ttaken %d\tleft %d", s.Offer, s.Stock, s.Taken, s.Left)
		if s.Held > 0 {
			line += fmt.Sprintf("\treserved %d", s.Held)
		}
		t.line("%s", line)
	}
}

func (t *text) rewards(r *store.Report) {
	if len(r.Rewards)+len(r.Budgets)+len(r.Coupons) == 0 {
		return
	}
	t.head("rewards")
	for _, w := range r.Rewards {
		line := fmt.Sprintf("  %s, version %d\tgranted %d\tpoints %d\trefused %d\t(budget %d, per day %d, per member %d)",
			w.Reward, w.Version, w.Granted, w.Points, w.Refused, w.RefusedBudget, w.RefusedPerDay, w.RefusedPerMember)
		if w.ClawedBack+w.Owed > 0 {
			line += fmt.Sprintf("\tclawed back %d, owed %d", w.ClawedBack, w.Owed)
		}
		t.line("%s", line)
		if w.RefusedPaused > 0 {
			t.line("  \t\t\t\t(while it had paused %d)", w.RefusedPaused)
		}
		if w.RefusedPool+w.RefusedHeld > 0 {
			t.line("  \t\t\t\t(no code left %d, had one already %d)", w.RefusedPool, w.RefusedHeld)
		}
	}
	for _, b := range r.Budgets {
		if b.Budget > 0 {
			line := fmt.Sprintf("  %s\tbudget %d\tused %d\tleft %d", b.Reward, b.Budget, b.Used, b.Left)
			if b.KeptBack > 0 {
				line += fmt.Sprintf("\tkept back %d", b.KeptBack)
			}
			if b.KeptBack > 0 && b.Left == b.KeptBack {
				line += "\tPAUSED"
			}
			t.line("%s", line)
		}
		if b.PerDay > 0 {
			t.line("  %s\tbudget %d a day\tleft today %d", b.Reward, b.PerDay, *b.LeftToday)
		}
	}
	for _, c := range r.Coupons {
		t.line("  %s\tcoupons open %d\tredeemed %d\texpired %d\tvoided %d", c.Reward, c.Open, c.Redeemed, c.Expired, c.Voided)
		if p := c.Pool; p != nil {
			low := ""
			if p.Low {
				low = fmt.Sprintf("\tRUNS LOW (at %d)", p.LowWater)
			}
			t.line("  %s\tcodes imported %d\tleft %d%s", c.Reward, p.Imported, p.Left, low)
		}
	}
	for _, b := range r.Benefits {
		t.line("  %s\tbenefit %s\tgranted %d\trevoked %d\tmembers now %d", b.Reward, b.Benefit, b.Granted, b.Revoked, b.Members)
	}
}

func (t *text) points(r *store.Report) {
	if r.Points == nil {
		return
	}
	t.head("points")
	for _, w := range r.Points.Rules {
		t.line("  %s\tevents %d\tpoints %d\trefused %d\t(per day %d, per member %d)\treversed %d\texpired %d",
			w.Rule, w.Gains, w.Points, w.RefusedPerDay+w.RefusedPerMember, w.RefusedPerDay, w.RefusedPerMember, w.Reversed, w.Expired)
		if w.Short+w.Undecided > 0 {
			t.line("  \tnot there to take back %d\tnot decided %d", w.Short, w.Undecided)
		}
	}
	for _, l := range r.Points.Levels {
		t.line("  level %s\tmembers %d", l.Level, l.Members)
	}
	t.line("  expired, rewards too\tpoints %d", r.Points.Expired)
}

func (t *text) messages(r *store.Report) {
	if len(r.Messages)+len(r.NotSent) == 0 {
		return
	}
	t.head("messages")
	for _, m := range r.Messages {
		channel := m.Channel
		if channel == "" {
			channel = "–"
		}
		t.line("  %s, version %d\t%s\t%s\t%d", m.Message, m.Version, channel, m.State, m.Messages)
	}
	for _, n := range r.NotSent {
		t.line("  %s, version %d\tnot sent\t%s\t%d", n.Message, n.Version, n.Reason, n.Times)
	}
}

func (t *text) calls(r *store.Report) {
	if len(r.Calls) == 0 {
		return
	}
	t.head("calls")
	for _, c := range r.Calls {
		state := map[string]string{"sent": "answered", "unknown": "being called"}[c.State]
		if state == "" {
			state = c.State
		}
		t.line("  %s, version %d\t%s\t%s\t%d", c.Call, c.Version, state, c.Reason, c.Calls)
	}
}

func (t *text) trouble(r *store.Report) {
	if len(r.Late)+len(r.Reviews) == 0 {
		return
	}
	t.head("to look at")
	for _, l := range r.Late {
		t.line("  version %d\t%s in time that came too late", l.Version, counted(l.Events, "event"))
	}
	for _, v := range r.Reviews {
		t.line("  version %d\t%s %s\t%s", v.Version, counted(v.Reviews, "review"), v.State, strings.ReplaceAll(v.Kind, "_", " "))
	}
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func rateText(r store.Rate) string {
	return fmt.Sprintf("%d of %d = %.1f %% (95 %%: %.1f to %.1f)", r.Did, r.Of, 100*r.Share, 100*r.Low, 100*r.High)
}

func percentOf(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

// local writes a time the way it reads on a campaign's own wall. A zone that this
// machine does not know leaves it in UTC, and says so.
func local(t time.Time, zone string) string {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return t.In(loc).Format("2006-01-02 15:04:05")
}

// WriteCampaigns writes a list of campaigns for people.
func WriteCampaigns(w io.Writer, list []store.CampaignLine) error {
	t := &text{w: tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	t.line("CAMPAIGN\tSTATE\tVERSION\tUNDER WAY\tTITLE")
	for i := range list {
		c := &list[i]
		t.line("%s\t%s\t%d\t%d\t%s", c.Name, c.State, c.Version, c.Active, c.Title)
	}
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

func (t *text) teams(r *store.Report) {
	if len(r.Teams)+len(r.Refunds) == 0 {
		return
	}
	t.head("teams")
	for _, x := range r.Teams {
		of := x.Offer
		if of == "" {
			of = x.Journey + " " + x.Step
		}
		t.line("  %s, version %d\topened %d\tformed %d\tfailed %d\twithdrawn %d\topen %d", of, x.Version, x.Opened, x.Formed, x.Failed, x.Withdrawn, x.Open)
	}
	for _, x := range r.Refunds {
		t.line("  refunds of %s, version %d: %s\tasked %d, %s %s\tconfirmed %d, %s %s\taccepted %d\twaiting %d\trefused %d\tunknown %d",
			x.Offer, x.Version, x.Reason, x.Asked, x.Amount.Amount, x.Amount.Currency, x.Confirmed, x.ConfirmedAmount.Amount, x.ConfirmedAmount.Currency,
			x.Accepted, x.Waiting, x.Refused, x.Unknown)
	}
}

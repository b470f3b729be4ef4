package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/banyanhq/banyan/demo/recount"
)

// Report is what the demo reads of a campaign's report.
type Report struct {
	Journeys []struct {
		Entered  int
		HeldOut  int `json:"held_out"`
		Active   int
		Outcomes []struct {
			Outcome string
			Members int
		}
		Goal *struct {
			Converted rate
			HeldOut   *rate `json:"held_out"`
			Value     struct{ Amount, Currency string }
		}
	}
	Messages []struct {
		Message, Channel, State string
		Messages                int
	}
	Offers []struct {
		Offer                                  string
		Opened, Taken, Lapsed, Withdrawn, Open int
	}
	Rewards []struct {
		Reward                   string
		Granted, Points, Refused int
	}
	Late    []struct{ Events int }
	Reviews []struct {
		Kind    string
		Reviews int
	}
}

type rate struct {
	Did, Of int
	Share   float64
}

// onTheWay counts the messages that no channel has answered for yet.
func (r *Report) onTheWay() (n int) {
	for _, m := range r.Messages {
		if m.State == "claimed" {
			n += m.Messages
		}
	}
	return n
}

// Numbers gives the report's counts by the names that the recount uses.
func (r *Report) Numbers() recount.Numbers {
	n := recount.Numbers{}
	for _, j := range r.Journeys {
		n["entered"] += j.Entered
		n["held out"] += j.HeldOut
		for _, o := range j.Outcomes {
			n["outcome "+o.Outcome] += o.Members
		}
		if j.Goal != nil {
			n["converted"] += j.Goal.Converted.Did
			if j.Goal.HeldOut != nil {
				n["converted"] += j.Goal.HeldOut.Did
			}
		}
	}
	for _, m := range r.Messages {
		n[m.State+" "+m.Message] += m.Messages
	}
	for _, o := range r.Offers {
		n["offer "+o.Offer+" opened"] += o.Opened
		n["offer "+o.Offer+" taken"] += o.Taken
		n["offer "+o.Offer+" lapsed"] += o.Lapsed
		n["offer "+o.Offer+" withdrawn"] += o.Withdrawn
		n["offer "+o.Offer+" open"] += o.Open
	}
	for _, w := range r.Rewards {
		n["granted "+w.Reward] += w.Granted
		n["refused "+w.Reward] += w.Refused
		n["points"] += w.Points
	}
	for _, l := range r.Late {
		n["late"] += l.Events
	}
	for _, v := range r.Reviews {
		n["review "+v.Kind] += v.Reviews
	}
	maps.DeleteFunc(n, func(_ string, count int) bool { return count == 0 })
	return n
}

// Table writes the report the way people read it.
func (r *Report) Table(w io.Writer) error {
	n := r.Numbers()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what string, count int, detail string) { fmt.Fprintf(t, "  %s\t%6d\t%s\n", what, count, detail) }
	sums := func(what, before, after string) {
		count, detail := sum(n, before, after)
		row(what, count, detail)
	}
	sums("entered", "outcome ", "")
	sums("sent", "sent ", "")
	for _, state := range []string{"taken", "lapsed", "withdrawn"} {
		sums(state, "offer ", " "+state)
	}
	row("late", n["late"], "in time, and heard of too late")
	sums("to review", "review ", "")
	row("converted", n["converted"], r.converted())
	sums("rewards", "granted ", "")
	row("points", n["points"], "granted with them")
	row("held out", n["held out"], "measured like the rest, sent nothing")
	return t.Flush()
}

// sum adds up the numbers whose name begins and ends so, and lists them, the largest
// first.
func sum(n recount.Numbers, before, after string) (count int, list string) {
	var names []string
	for name := range n {
		if strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
			names = append(names, name)
			count += n[name]
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(n[b], n[a]), strings.Compare(a, b)) })
	for i, name := range names {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(name, before), after) + " " + strconv.Itoa(n[name])
	}
	return count, strings.Join(names, " · ")
}

// converted tells the two groups apart: what the campaign did is the difference.
func (r *Report) converted() string {
	var groups []string
	for _, j := range r.Journeys {
		if j.Goal == nil {
			continue
		}
		groups = append(groups, j.Goal.Converted.String()+" it spoke to")
		if j.Goal.HeldOut != nil {
			groups = append(groups, j.Goal.HeldOut.String()+" held out")
		}
	}
	return strings.Join(groups, " · ")
}

func (r rate) String() string { return fmt.Sprintf("%.0f %% of %d", 100*r.Share, r.Of) }

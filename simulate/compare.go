package simulate

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Comparison holds two versions of a campaign against each other, over the same members
// and the same luck.
type Comparison struct {
	Names       [2]string    `json:"names"` // this one, and what it is held against
	This        *Report      `json:"this"`
	Against     *Report      `json:"against"`
	Differences []Difference `json:"differences"`
}

// Difference is one number of both versions.
type Difference struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Unit    string  `json:"unit"` // count, percent, money_minor, day, mean
	This    float64 `json:"this"`
	Against float64 `json:"against"`
}

// Compare holds two reports against each other.
func Compare(this, against *Report, names [2]string) *Comparison {
	c := &Comparison{Names: names, This: this, Against: against}
	one, other := numbers(this), numbers(against)
	have := map[string]float64{}
	for _, d := range other {
		have[d.Section+"\x00"+d.Name] = d.This
	}
	seen := map[string]bool{}
	for _, d := range one {
		key := d.Section + "\x00" + d.Name
		seen[key] = true
		d.Against = have[key]
		c.Differences = append(c.Differences, d)
	}
	for _, d := range other {
		if !seen[d.Section+"\x00"+d.Name] {
			d.This, d.Against = 0, d.This
			c.Differences = append(c.Differences, d)
		}
	}
	return c
}

// numbers lists the numbers of a report that are worth comparing.
func numbers(r *Report) (list []Difference) {
	add := func(section, name, unit string, v float64) {
		list = append(list, Difference{Section: section, Name: name, Unit: unit, This: v})
	}
	ratio := func(n, of int64) float64 {
		if of == 0 {
			return 0
		}
		return float64(n) * 100 / float64(of)
	}
	for i := range r.Journeys {
		j := &r.Journeys[i]
		section := "journey " + j.Journey
		add(section, "entered", "count", float64(j.Entered))
		if j.HasGoal {
			add(section, "converted", "count", float64(j.Converted))
			add(section, "conversion", "percent", ratio(j.Converted, j.Entered))
		}
		for _, o := range j.Outcomes {
			add(section, "ended as "+o.Name, "count", float64(o.Count))
		}
		add(section, "under way", "count", float64(j.Active))
		for _, s := range j.Segments {
			add(section, "conversion of "+s.Segment, "percent", ratio(s.Converted, s.Entered))
		}
	}
	add("messages", "sent", "count", float64(r.PerMember.Sum))
	add("messages", "per member, mean", "mean", r.PerMember.Mean)
	add("messages", "per member, p99", "count", float64(r.PerMember.P99))
	add("messages", "per member, max", "count", float64(r.PerMember.Max))
	for i := range r.Messages {
		add("messages", "sent "+r.Messages[i].Message, "count", float64(r.Messages[i].Sent))
	}
	quiet, capped := int64(0), int64(0)
	for i := range r.Messages {
		quiet, capped = quiet+r.Messages[i].Quiet, capped+r.Messages[i].Capped
	}
	add("messages", "put off by quiet hours", "count", float64(quiet))
	add("messages", "put off by the cap", "count", float64(capped))
	for i := range r.Offers {
		o := &r.Offers[i]
		if o.Opened == 0 {
			continue
		}
		section := "offer " + o.Offer
		add(section, "opened", "count", float64(o.Opened))
		add(section, "taken", "count", float64(o.Taken))
		add(section, "taken of opened", "percent", ratio(o.Taken, o.Opened))
		add(section, "revenue", "money_minor", float64(o.Revenue))
		if o.Stock > 0 {
			add(section, "stock runs out on day", "day", r.dayOf(o.RunsOut))
		}
	}
	if p := r.Points; p != nil {
		for i := range p.Rules {
			w := &p.Rules[i]
			section := "points rule " + w.Rule
			add(section, "events", "count", float64(w.Gains))
			add(section, "points", "count", float64(w.Points))
			add(section, "taken back", "count", float64(w.Reversed))
		}
		for _, l := range p.Levels {
			add("level "+l.Level, "risen to", "count", float64(l.Risen))
			add("level "+l.Level, "fallen from", "count", float64(l.Fallen))
		}
		add("points", "expired", "count", float64(p.Expired))
	}
	for i := range r.Rewards {
		w := &r.Rewards[i]
		section := "reward " + w.Reward
		add(section, "granted", "count", float64(w.Granted))
		add(section, "points", "count", float64(w.Points))
		if w.Budget > 0 {
			add(section, "budget runs out on day", "day", r.dayOf(w.RunsOut))
		}
		if w.PerDay > 0 {
			add(section, "days on which the day's budget runs out", "count", float64(w.DaysRunOut))
		}
	}
	add("revenue", "paid", "money_minor", float64(r.Revenue.Paid))
	add("revenue", "refunded", "money_minor", float64(r.Revenue.Refunded))
	add("revenue", "per member who entered", "money_minor", float64(r.Revenue.ARPU))
	return list
}

// dayOf is the day of a moment, from 1; 0 where there is none.
func (r *Report) dayOf(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(int(t.Sub(r.From)/(24*time.Hour)) + 1)
}

// Text writes both versions side by side.
func (c *Comparison) Text(w io.Writer) error {
	t := &texter{r: c.This}
	t.head()
	t.line("")
	t.line("A  %s", c.Names[0])
	t.line("B  %s", c.Names[1])
	t.line("The same members with the same luck go through both.")
	section := ""
	widths := []int{34, -16, -16, -16, -8}
	for _, d := range c.Differences {
		if d.This == 0 && d.Against == 0 {
			continue
		}
		if d.Section != section {
			section = d.Section
			t.line("")
			t.row(widths, section, "A", "B", "A - B", "")
		}
		show := func(v float64) string { return c.This.shown(d.Unit, v) }
		diff, part := c.This.difference(&d)
		t.row(widths, "  "+cut(d.Name, 32), show(d.This), show(d.Against), diff, part)
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

// difference words a difference, and the part of what it is held against that it makes.
func (r *Report) difference(d *Difference) (diff, part string) {
	delta := d.This - d.Against
	switch {
	case delta == 0:
		return "=", ""
	case d.Unit == "day" && (d.This == 0 || d.Against == 0):
		return "", "" // of a day and never there is no difference
	case d.Unit == "percent":
		return fmt.Sprintf("%+.2f points", delta), ""
	}
	if diff = r.shown(d.Unit, delta); delta > 0 {
		diff = "+" + diff
	}
	if d.Against != 0 && d.Unit != "day" {
		part = fmt.Sprintf("%+.1f%%", delta*100/d.Against)
	}
	return diff, part
}

func (r *Report) shown(unit string, v float64) string {
	switch unit {
	case "percent":
		return strconv.FormatFloat(v, 'f', 2, 64) + "%"
	case "money_minor":
		return r.money(int64(v))
	case "mean":
		return strconv.FormatFloat(v, 'f', 2, 64)
	case "day":
		if v == 0 {
			return "never"
		}
	}
	return number(int64(v))
}

// CSV writes a report as a table for spreadsheets and programs: section, name, day,
// metric, value. Day is empty where a number is of the whole rehearsal. Money is a
// decimal in the currency.
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	put := func(section, name, day, metric string, value any) {
		_ = out.Write([]string{section, name, day, metric, fmt.Sprint(value)}) // Error tells
	}
	put("section", "name", "day", "metric", "value")
	money := func(minor int64) string { return campaign.Money{Minor: minor, Currency: r.Currency}.Decimal() }
	put("rehearsal", r.Campaign, "", "members", r.Members)
	put("rehearsal", r.Campaign, "", "seed", r.Seed)
	for i := range r.Journeys {
		j := &r.Journeys[i]
		put("journey", j.Journey, "", "entered", j.Entered)
		put("journey", j.Journey, "", "converted", j.Converted)
		put("journey", j.Journey, "", "under_way", j.Active)
		for _, o := range j.Outcomes {
			put("journey", j.Journey, "", "outcome "+o.Name, o.Count)
		}
		if j.Holdout != nil {
			put("journey", j.Journey, "", "held_out", j.Holdout.Entered)
			put("journey", j.Journey, "", "held_out_converted", j.Holdout.Converted)
		}
		for _, s := range j.Steps {
			name := j.Journey + "/" + s.ID + " " + s.Name
			put("step", name, "", "reached", s.Reached)
			put("step", name, "", "waiting", s.Waiting)
		}
		for _, s := range j.Segments {
			put("segment", j.Journey+"/"+s.Segment, "", "entered", s.Entered)
			put("segment", j.Journey+"/"+s.Segment, "", "converted", s.Converted)
		}
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		put("message", m.Message, "", "sent", m.Sent)
		put("message", m.Message, "", "put_off_by_quiet_hours", m.Quiet)
		put("message", m.Message, "", "put_off_by_cap", m.Capped)
		for _, c := range m.NotSent {
			put("message", m.Message, "", "not_sent "+c.Name, c.Count)
		}
	}
	put("messages_per_member", "", "", "mean", r.PerMember.Mean)
	put("messages_per_member", "", "", "p99", r.PerMember.P99)
	put("messages_per_member", "", "", "max", r.PerMember.Max)
	for i := range r.Offers {
		o := &r.Offers[i]
		put("offer", o.Offer, "", "opened", o.Opened)
		put("offer", o.Offer, "", "taken", o.Taken)
		put("offer", o.Offer, "", "lapsed", o.Lapsed)
		put("offer", o.Offer, "", "withdrawn", o.Withdrawn)
		put("offer", o.Offer, "", "refused", o.Refused)
		put("offer", o.Offer, "", "revenue", money(o.Revenue))
	}
	for i := range r.Rewards {
		w := &r.Rewards[i]
		put("reward", w.Reward, "", "granted", w.Granted)
		put("reward", w.Reward, "", "points", w.Points)
		for _, c := range w.Refused {
			put("reward", w.Reward, "", "refused "+c.Name, c.Count)
		}
	}
	put("revenue", "", "", "paid", money(r.Revenue.Paid))
	put("revenue", "", "", "refunded", money(r.Revenue.Refunded))
	put("revenue", "", "", "arpu", money(r.Revenue.ARPU))
	for _, d := range r.Days {
		put("day", "", d.Date, "entered", d.Entered)
		put("day", "", d.Date, "messages", d.Messages)
		put("day", "", d.Date, "converted", d.Converted)
		put("day", "", d.Date, "paid", money(d.Paid))
		put("day", "", d.Date, "refunded", money(d.Refunded))
		for k, n := range d.Taken {
			put("day", r.Offers[k].Offer, d.Date, "taken", n)
		}
		for k, n := range d.Points {
			put("day", r.Rewards[k].Reward, d.Date, "points_so_far", n)
		}
	}
	out.Flush()
	return out.Error()
}

// CSV writes the numbers of both versions: section, name, unit, this, against.
func (c *Comparison) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"section", "name", "unit", "this", "against"}) // Error tells
	for _, d := range c.Differences {
		_ = out.Write([]string{d.Section, d.Name, d.Unit, strconv.FormatFloat(d.This, 'f', -1, 64), strconv.FormatFloat(d.Against, 'f', -1, 64)})
	}
	out.Flush()
	return out.Error()
}

package simulate

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/banyanhq/banyan/campaign"
)

// barWidth is how long the longest bar is, in characters.
const barWidth = 24

// Text writes a report for a terminal.
func (r *Report) Text(w io.Writer) error {
	t := &texter{r: r}
	t.head()
	for i := range r.Journeys {
		t.journey(&r.Journeys[i])
	}
	t.messages()
	t.offers()
	t.rewards()
	t.points()
	t.money()
	t.rest()
	t.overTime()
	_, err := io.WriteString(w, t.b.String())
	return err
}

type texter struct {
	r *Report
	b strings.Builder
}

func (t *texter) line(format string, args ...any) {
	t.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// row writes cells in columns of given widths; negative ones are flush right.
func (t *texter) row(widths []int, cells ...string) {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		if width := widths[i]; width < 0 {
			b.WriteString(strings.Repeat(" ", max(0, -width-columns(c))) + c)
		} else {
			b.WriteString(c + strings.Repeat(" ", max(0, width-columns(c))))
		}
	}
	t.line("%s", b.String())
}

// columns is how many columns of a terminal a text takes; Chinese characters take two.
func columns(s string) (n int) {
	for _, r := range s {
		n++
		if r >= 0x1100 && (unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) || r >= 0x3000 && r <= 0x303f || r >= 0xff01 && r <= 0xff60) {
			n++
		}
	}
	return n
}

// cut shortens a text to so many columns.
func cut(s string, most int) string {
	if columns(s) <= most {
		return s
	}
	out, n := "", 0
	for _, r := range s {
		if n += columns(string(r)); n >= most {
			break
		}
		out += string(r)
	}
	return out + "…"
}

func bar(n, of int64) string {
	if of <= 0 || n <= 0 {
		return ""
	}
	eighths := int(min(n, of) * barWidth * 8 / of)
	out := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		out += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	if out == "" {
		return "▏"
	}
	return out
}

func share(n, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", float64(n)*100/float64(of))
}

// Number writes a whole number with commas.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func (r *Report) money(minor int64) string {
	m := campaign.Money{Minor: minor, Currency: r.Currency}.Decimal()
	m, negative := strings.CutPrefix(m, "-")
	sign := ""
	if negative {
		sign = "-"
	}
	whole, fraction, _ := strings.Cut(m, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return sign + r.Currency.Symbol() + m
	}
	return sign + r.Currency.Symbol() + number(n) + "." + fraction
}

func (r *Report) span() int { return len(r.Days) }

func (t *texter) head() {
	r := t.r
	t.line("%s: %s", r.Campaign, r.Title)
	t.line("%s members over %d days from %s, population %s, seed %d",
		number(r.Members), r.span(), r.From.Format(time.DateOnly), nameOr(r.Population, "of past events"), r.Seed)
	if r.Derived {
		t.line("NOTE: nobody told how members behave, so a population was derived from the campaign. Its numbers show")
		t.line("what may happen, not what will. Write it down with --write-population FILE, change it, and pass it with")
		t.line("--population FILE.")
	}
}

func nameOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (t *texter) journey(j *JourneyReport) {
	t.line("")
	t.line("Journey %s: %s entered", j.Journey, number(j.Entered))
	width := 24
	for i := range j.Steps {
		s := &j.Steps[i]
		width = max(width, min(46, 2+columns(stepText(s))))
	}
	widths := []int{width, -9, -6, barWidth, 0}
	for i := range j.Steps {
		s := &j.Steps[i]
		var notes []string
		if s.Happened+s.TimedOut > 0 {
			notes = append(notes, fmt.Sprintf("%s %s, timed out %s", cameOf(s.Kind), number(s.Happened), number(s.TimedOut)))
		}
		if s.Visits > s.Reached {
			notes = append(notes, number(s.Visits)+" visits")
		}
		if s.Waiting > 0 {
			notes = append(notes, number(s.Waiting)+" still here")
		}
		t.row(widths, "  "+cut(stepText(s), width-2), number(s.Reached), share(s.Reached, j.Entered), bar(s.Reached, j.Entered), strings.Join(notes, ", "))
	}
	var ends []string
	for _, o := range j.Outcomes {
		ends = append(ends, fmt.Sprintf("%s %s (%s)", o.Name, number(o.Count), share(o.Count, j.Entered)))
	}
	if j.Active > 0 {
		ends = append(ends, fmt.Sprintf("under way %s (%s)", number(j.Active), share(j.Active, j.Entered)))
	}
	t.list("  outcomes: ", ends)
	if !j.HasGoal {
		return
	}
	t.line("  converted: %s of %s, %s", number(j.Converted), number(j.Entered), share(j.Converted, j.Entered))
	if j.Holdout != nil {
		t.line("  held out: %s, of whom %s converted, %s", number(j.Holdout.Entered), number(j.Holdout.Converted), share(j.Holdout.Converted, j.Holdout.Entered))
	}
	for i, s := range j.Segments {
		if i == 0 {
			t.line("  conversion by segment at the entry:")
		}
		t.row([]int{width, -9, -6, barWidth}, "    "+s.Segment, number(s.Entered), share(s.Converted, s.Entered), bar(s.Converted, s.Entered))
	}
}

// cameOf says what a step waits for, when it has come.
func cameOf(kind campaign.StepKind) string {
	switch kind {
	case campaign.StepAsk:
		return "answered"
	case campaign.StepReview:
		return "decided"
	default:
		return "came"
	}
}

// list writes what stands behind a heading, in lines of readable length.
func (t *texter) list(head string, items []string) {
	line := head
	for i, item := range items {
		if i < len(items)-1 {
			item += ", "
		}
		if columns(line+item) > 110 && line != head {
			t.line("%s", line)
			line = strings.Repeat(" ", columns(head))
		}
		line += item
	}
	if len(items) > 0 {
		t.line("%s", line)
	}
}

func stepText(s *StepReport) string {
	name := s.Name
	if s.Block != "" && s.Depth > 0 {
		name = s.Block + ": " + name
	}
	return strings.Repeat("  ", s.Depth) + name
}

func (t *texter) messages() {
	r := t.r
	t.line("")
	t.line("Messages: %s sent", number(r.PerMember.Sum))
	if r.PerMember.Sum == 0 && len(r.Messages) == 0 {
		return
	}
	widths := []int{26, -10, -12, -12, -10}
	t.row(widths, "", "sent", "quiet hours", "put off: cap", "not sent")
	for i := range r.Messages {
		m := &r.Messages[i]
		not := int64(0)
		for _, c := range m.NotSent {
			not += c.Count
		}
		t.row(widths, "  "+cut(m.Message, 24), number(m.Sent), number(m.Quiet), number(m.Capped), number(not))
	}
	reasons := map[string]int64{}
	for i := range r.Messages {
		for _, c := range r.Messages[i].NotSent {
			reasons[c.Name] += c.Count
		}
	}
	var list []string
	for _, c := range counts(reasons) {
		list = append(list, c.Name+" "+number(c.Count))
	}
	t.list("  not sent because: ", list)
	t.line("  per member: mean %.2f, median %d, p99 %d, max %d; on a member's busiest day: p99 %d, max %d",
		r.PerMember.Mean, r.PerMember.Median, r.PerMember.P99, r.PerMember.Max, r.BusiestDay.P99, r.BusiestDay.Max)
	busiest := slices.MaxFunc(r.Days, func(a, b DayReport) int { return cmp.Compare(a.Messages, b.Messages) })
	t.line("  per day: mean %.1f, at most %s, on %s", float64(r.PerMember.Sum)/float64(len(r.Days)), number(busiest.Messages), busiest.Date)
}

func (t *texter) offers() {
	r := t.r
	if len(r.Offers) == 0 {
		return
	}
	t.line("")
	t.line("Offers")
	widths := []int{26, -10, -10, -10, -10, -10, -16}
	t.row(widths, "", "opened", "taken", "lapsed", "withdrawn", "open", "revenue")
	for i := range r.Offers {
		o := &r.Offers[i]
		t.row(widths, "  "+cut(o.Offer, 24), number(o.Opened), number(o.Taken), number(o.Lapsed), number(o.Withdrawn), number(o.Open), r.money(o.Revenue))
		if o.Refused > 0 {
			t.line("    paid and not taken: %s", number(o.Refused))
		}
		if o.Skipped > 0 {
			t.line("    not offered to those who have it: %s", number(o.Skipped))
		}
		if o.Stock > 0 {
			t.line("    %s", r.runs("stock", int64(o.Stock), o.Taken, o.RunsOut))
		}
	}
}

func (t *texter) rewards() {
	r := t.r
	if len(r.Rewards) == 0 {
		return
	}
	t.line("")
	t.line("Rewards")
	widths := []int{26, -10, -12, -10}
	t.row(widths, "", "granted", "points", "refused")
	for i := range r.Rewards {
		w := &r.Rewards[i]
		refused := int64(0)
		var why []string
		for _, c := range w.Refused {
			refused += c.Count
			why = append(why, c.Name+" "+number(c.Count))
		}
		t.row(widths, "  "+cut(w.Reward, 24), number(w.Granted), number(w.Points), number(refused))
		t.list("    refused because: ", why)
		if w.Budget > 0 {
			t.line("    %s", w.budget(r))
		}
		if w.PerDay > 0 {
			t.line("    %s", w.daily())
		}
	}
}

// unit is what a reward is counted in.
func (w *RewardReport) unit() string {
	if w.Gives == "" {
		return "points"
	}
	return w.Gives + "s"
}

// daily says on how many days the day's budget was used up.
func (w *RewardReport) daily() string {
	return fmt.Sprintf("budget %s a day: used up on %d days", number(w.PerDay), w.DaysRunOut)
}

// runs says whether and when something limited runs out.
func (r *Report) runs(what string, most, used int64, out time.Time) string {
	if out.IsZero() {
		return fmt.Sprintf("%s %s: %s used, %s, lasts to the end", what, number(most), number(used), share(used, most))
	}
	return fmt.Sprintf("%s %s: RUNS OUT on day %d, %s", what, number(most), int(out.Sub(r.From)/(24*time.Hour))+1, out.Format("2006-01-02 15:04"))
}

func (t *texter) money() {
	v := &t.r.Revenue
	if v.Orders == 0 {
		return
	}
	t.line("")
	t.line("Revenue: %s orders, %s paid, %s of it refunded in %s orders", number(v.Orders), t.r.money(v.Paid), t.r.money(v.Refunded), number(v.Refunds))
	t.line("  per member who entered (ARPU): %s of %s members", t.r.money(v.ARPU), number(v.Entrants))
	if v.HeldOut > 0 {
		t.line("  per member held out:           %s of %s members", t.r.money(v.HeldOutARPU), number(v.HeldOut))
	}
}

func (t *texter) rest() {
	r := t.r
	var list []string
	for _, c := range r.Reviews {
		list = append(list, c.Name+" "+number(c.Count))
	}
	if r.Late > 0 {
		list = append(list, "events that came too late "+number(r.Late))
	}
	if len(list) > 0 {
		t.line("")
		t.list("Reviews for people: ", list)
	}
	for i, f := range r.Faults {
		if i == 0 {
			t.line("")
			t.line("FAULTS: expressions that could not be worked out")
		}
		if i == 10 {
			t.line("  and %d more kinds", len(r.Faults)-i)
			break
		}
		t.line("  %s times: %s", number(f.Count), f.Name)
	}
}

// maxRows is how many rows a table over time has at most.
const maxRows = 26

func (t *texter) overTime() {
	r := t.r
	if len(r.Days) < 2 {
		return
	}
	step := (len(r.Days) + maxRows - 1) / maxRows
	unit := "day"
	switch {
	case step > 1 && step <= 7 && len(r.Days) > maxRows:
		step, unit = 7, "week"
	case step > 7:
		step, unit = 28, "four weeks"
	}
	t.line("")
	t.line("Over time, a row for each %s", unit)
	widths, heads := []int{12, -9, -10, barWidth, -10, -16}, []string{"  from", "entered", "messages", "", "converted", "paid"}
	limited := r.limited()
	for _, l := range limited {
		widths, heads = append(widths, -max(6, min(12, columns(l.name)))), append(heads, cut(l.name, 12))
	}
	t.row(widths, heads...)
	var rows []DayReport
	var ends []int
	var most int64
	for i := 0; i < len(r.Days); i += step {
		sum, end := DayReport{Date: r.Days[i].Date}, min(i+step, len(r.Days))
		for _, d := range r.Days[i:end] {
			sum.Entered, sum.Messages, sum.Converted, sum.Paid = sum.Entered+d.Entered, sum.Messages+d.Messages, sum.Converted+d.Converted, sum.Paid+d.Paid
		}
		most = max(most, sum.Messages)
		rows, ends = append(rows, sum), append(ends, end)
	}
	for i, d := range rows {
		cells := []string{"  " + d.Date, number(d.Entered), number(d.Messages), bar(d.Messages, most), number(d.Converted), r.money(d.Paid)}
		for _, l := range limited {
			cells = append(cells, share(l.used[ends[i]-1], l.most))
		}
		t.row(widths, cells...)
	}
	if len(limited) > 0 {
		t.line("  The last columns: how much of a stock or a budget is used by then.")
	}
}

// usage is how much of something limited is used by the end of each day.
type usage struct {
	name string
	most int64
	used []int64
}

// maxLimited is how many limited things stand beside each other.
const maxLimited = 4

func (r *Report) limited() (list []usage) {
	for k := range r.Rewards {
		if w := &r.Rewards[k]; w.Budget > 0 {
			u := usage{name: w.Reward, most: w.Budget}
			for i := range r.Days {
				u.used = append(u.used, r.Days[i].Points[k])
			}
			list = append(list, u)
		}
	}
	for k := range r.Offers {
		if o := &r.Offers[k]; o.Stock > 0 {
			u, sum := usage{name: o.Offer, most: int64(o.Stock)}, int64(0)
			for i := range r.Days {
				sum += r.Days[i].Taken[k]
				u.used = append(u.used, sum)
			}
			list = append(list, u)
		}
	}
	return list[:min(len(list), maxLimited)]
}

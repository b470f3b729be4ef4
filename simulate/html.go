package simulate

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

// HTML writes a report as one page that needs nothing else: no script, no font, no
// network. Its charts are SVG.
func (r *Report) HTML(w io.Writer) error { return page(w, []*Report{r}, nil) }

// HTML writes both versions as one page.
func (c *Comparison) HTML(w io.Writer) error {
	return page(w, []*Report{c.This, c.Against}, c)
}

func page(w io.Writer, reports []*Report, c *Comparison) error {
	p := pageOf{First: reports[0], Comparison: c}
	for i, r := range reports {
		v := versionPage{R: r}
		if c != nil {
			v.Name = string(rune('A'+i)) + " · " + c.Names[i]
		}
		v.charts()
		p.Versions = append(p.Versions, v)
	}
	if c != nil {
		p.rows()
	}
	return pageTemplate.Execute(w, p)
}

type pageOf struct {
	First      *Report
	Comparison *Comparison
	Rows       []pageRow
	Versions   []versionPage
}

type pageRow struct {
	Section, Name, This, Against, Difference string
	Head                                     bool
}

func (p *pageOf) rows() {
	section := ""
	for _, d := range p.Comparison.Differences {
		if d.This == 0 && d.Against == 0 {
			continue
		}
		if d.Section != section {
			section = d.Section
			p.Rows = append(p.Rows, pageRow{Section: section, Head: true})
		}
		diff, _ := p.First.difference(&d)
		p.Rows = append(p.Rows, pageRow{
			Name: d.Name, This: p.First.shown(d.Unit, d.This), Against: p.First.shown(d.Unit, d.Against), Difference: diff,
		})
	}
}

type versionPage struct {
	Name     string
	R        *Report
	Journeys []journeyPage
	Time     []chart
	Limits   []chart
	Spread   template.HTML
}

type journeyPage struct {
	J      *JourneyReport
	Funnel template.HTML
}

type chart struct {
	Title string
	Note  string
	SVG   template.HTML
}

func (v *versionPage) charts() {
	r := v.R
	for i := range r.Journeys {
		v.Journeys = append(v.Journeys, journeyPage{&r.Journeys[i], funnel(&r.Journeys[i])})
	}
	day := func(get func(*DayReport) int64) []float64 {
		out := make([]float64, len(r.Days))
		for i := range r.Days {
			out[i] = float64(get(&r.Days[i]))
		}
		return out
	}
	money := func(v float64) string { return r.Currency.Symbol() + short(v/100) }
	v.Time = []chart{
		{"Entered a day", "", r.bars(day(func(d *DayReport) int64 { return d.Entered }), short, "#2f6f4f")},
		{"Messages a day", "", r.bars(day(func(d *DayReport) int64 { return d.Messages }), short, "#3b6ea5")},
		{"Converted a day", "", r.bars(day(func(d *DayReport) int64 { return d.Converted }), short, "#8a5a9e")},
		{"Paid a day", "", r.bars(day(func(d *DayReport) int64 { return d.Paid }), money, "#b0702f")},
	}
	for k := range r.Rewards {
		w := &r.Rewards[k]
		note := "no budget"
		if w.Budget > 0 {
			note = w.budget(r)
		}
		if w.PerDay > 0 {
			note += "; " + w.daily()
		}
		v.Limits = append(v.Limits, chart{
			"Reward " + w.Reward + ": " + w.unit() + " so far", note,
			r.line(day(func(d *DayReport) int64 { return d.Points[k] }), float64(w.Budget), r.dayOf(w.RunsOut)),
		})
	}
	for k := range r.Offers {
		o := &r.Offers[k]
		if o.Stock == 0 {
			continue
		}
		sum := 0.0
		taken := day(func(d *DayReport) int64 { return d.Taken[k] })
		for i := range taken {
			sum += taken[i]
			taken[i] = sum
		}
		v.Limits = append(v.Limits, chart{
			"Offer " + o.Offer + ": taken so far", r.runs("stock", int64(o.Stock), o.Taken, o.RunsOut),
			r.line(taken, float64(o.Stock), r.dayOf(o.RunsOut)),
		})
	}
	members := make([]float64, len(r.PerMember.Members))
	for i, n := range r.PerMember.Members {
		members[i] = float64(n)
	}
	v.Spread = histogram(members)
}

// short writes a number for an axis.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v/1e6), ".0") + "M"
	case a >= 1e4:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v/1e3), ".0") + "k"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// The size of charts, in SVG's units.
const (
	chartWidth, chartHeight   = 520, 190
	chartLeft, chartRight     = 48, 10
	chartTop, chartBottom     = 14, 26
	funnelWidth, funnelHeight = 1080, 26
	funnelText                = 420
)

type svg struct{ b strings.Builder }

func (s *svg) add(format string, args ...any) { fmt.Fprintf(&s.b, format, args...) }

func (s *svg) done() template.HTML {
	return template.HTML(s.b.String() + "</svg>") //nolint:gosec // every text in it was escaped
}

func text(s string) string { return template.HTMLEscapeString(s) }

// nice is a round number that is not less than v.
func nice(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if unit*m >= v {
			return unit * m
		}
	}
	return v
}

func (r *Report) axes(s *svg, most float64, label func(float64) string) {
	s.add(`<svg viewBox="0 0 %d %d" role="img">`, chartWidth, chartHeight)
	bottom := chartHeight - chartBottom
	for _, part := range []float64{0, 0.5, 1} {
		y := float64(bottom) - part*float64(bottom-chartTop)
		s.add(`<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text class="axis" x="%d" y="%.1f" text-anchor="end">%s</text>`,
			chartLeft, y, chartWidth-chartRight, y, chartLeft-5, y+4, text(label(most*part)))
	}
	ticks := min(5, len(r.Days))
	for i := range ticks {
		at := i * (len(r.Days) - 1) / max(1, ticks-1)
		x := r.x(at, 0.5)
		date, err := time.Parse(time.DateOnly, r.Days[at].Date)
		if err != nil {
			continue
		}
		anchor := "middle"
		if i == ticks-1 {
			anchor = "end"
		}
		s.add(`<text class="axis" x="%.1f" y="%d" text-anchor="%s">%s</text>`, x, chartHeight-8, anchor, date.Format("01-02"))
	}
}

// x is where a day stands; within is from 0 to 1 inside of it.
func (r *Report) x(day int, within float64) float64 {
	return chartLeft + (float64(day)+within)*float64(chartWidth-chartLeft-chartRight)/float64(max(1, len(r.Days)))
}

func top(values []float64) (most float64) {
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

func (r *Report) bars(values []float64, label func(float64) string, color string) template.HTML {
	s := &svg{}
	most := nice(top(values))
	r.axes(s, most, label)
	bottom := float64(chartHeight - chartBottom)
	for i, v := range values {
		if v <= 0 {
			continue
		}
		h := v / most * (bottom - chartTop)
		s.add(`<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" fill="%s"><title>%s: %s</title></rect>`,
			r.x(i, 0.08), bottom-h, r.x(1, 0)-r.x(0, 0.16), h, color, text(r.Days[i].Date), text(label(v)))
	}
	return s.done()
}

// line draws what adds up, with the limit that it may come to and the day on which it
// does; 0: there is none.
func (r *Report) line(values []float64, limit, runsOut float64) template.HTML {
	s := &svg{}
	most := nice(max(top(values), limit))
	r.axes(s, most, short)
	bottom := float64(chartHeight - chartBottom)
	y := func(v float64) float64 { return bottom - v/most*(bottom-chartTop) }
	var points strings.Builder
	fmt.Fprintf(&points, "%.1f,%.1f", r.x(0, 0), bottom)
	for i, v := range values {
		fmt.Fprintf(&points, " %.1f,%.1f", r.x(i, 1), y(v))
	}
	s.add(`<polygon points="%s %.1f,%.1f" fill="#3b6ea5" opacity="0.16"/>`, points.String(), r.x(len(values)-1, 1), bottom)
	s.add(`<polyline points="%s" fill="none" stroke="#3b6ea5" stroke-width="2"/>`, points.String())
	if limit > 0 {
		s.add(`<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#b3382c" stroke-dasharray="5 4"/>`, chartLeft, y(limit), chartWidth-chartRight, y(limit))
	}
	if runsOut > 0 {
		x := r.x(int(runsOut)-1, 0.5)
		anchor := "start"
		if x > chartWidth*2/3 {
			anchor = "end"
		}
		s.add(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%.1f" stroke="#b3382c"/><text class="mark" x="%.1f" y="%.1f" text-anchor="%s"> runs out on day %.0f </text>`,
			x, chartTop, x, bottom, x+4*map[string]float64{"start": 1, "end": -1}[anchor], bottom-8, anchor, runsOut)
	}
	return s.done()
}

func histogram(values []float64) template.HTML {
	s := &svg{}
	most := nice(top(values))
	s.add(`<svg viewBox="0 0 %d %d" role="img">`, chartWidth, chartHeight)
	bottom := float64(chartHeight - chartBottom)
	for _, part := range []float64{0, 0.5, 1} {
		y := bottom - part*(bottom-chartTop)
		s.add(`<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text class="axis" x="%d" y="%.1f" text-anchor="end">%s</text>`,
			chartLeft, y, chartWidth-chartRight, y, chartLeft-5, y+4, text(short(most*part)))
	}
	width := float64(chartWidth-chartLeft-chartRight) / float64(max(1, len(values)))
	every := (len(values) + 19) / 20
	for i, v := range values {
		x, h := chartLeft+float64(i)*width, v/most*(bottom-chartTop)
		s.add(`<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" fill="#3b6ea5"><title>%d messages: %s members</title></rect>`,
			x+width*0.1, bottom-h, width*0.8, h, i, text(short(v)))
		if i%every == 0 {
			s.add(`<text class="axis" x="%.2f" y="%d" text-anchor="middle">%d</text>`, x+width/2, chartHeight-8, i)
		}
	}
	return s.done()
}

func funnel(j *JourneyReport) template.HTML {
	s := &svg{}
	s.add(`<svg viewBox="0 0 %d %d" role="img">`, funnelWidth, funnelHeight*len(j.Steps)+6)
	space := float64(funnelWidth - funnelText - 230)
	for i := range j.Steps {
		st := &j.Steps[i]
		y := i*funnelHeight + 4
		name := st.Name
		if st.Block != "" && st.Depth > 0 {
			name = st.Block + ": " + name
		}
		s.add(`<text class="step" x="%d" y="%d">%s</text>`, 4+st.Depth*18, y+16, text(cut(name, 52-st.Depth*2)))
		width := 0.0
		if j.Entered > 0 {
			width = space * min(1, float64(st.Reached)/float64(j.Entered))
		}
		s.add(`<rect x="%d" y="%d" width="%.1f" height="%d" rx="3" fill="%s"/>`, funnelText, y+2, width, funnelHeight-8,
			map[bool]string{true: "#2f6f4f", false: "#7fa890"}[st.Depth == 0])
		note := ""
		if st.Waiting > 0 {
			note = ", " + number(st.Waiting) + " still here"
		}
		s.add(`<text class="value" x="%.1f" y="%d">%s · %s%s</text>`, funnelText+width+8, y+16, number(st.Reached), share(st.Reached, j.Entered), text(note))
	}
	return s.done()
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number, "share": share,
	"money": func(r *Report, minor int64) string { return r.money(minor) },
	"date":  func(t time.Time) string { return t.Format(time.DateOnly) },
	"sum": func(list []Count) (n int64) {
		for _, c := range list {
			n += c.Count
		}
		return n
	},
}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.First.Campaign}} · rehearsal</title>
<style>
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI","PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif;color:#1d2a24;background:#f6f7f5;margin:0}
main{max-width:1140px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 10px}h3{font-size:15px;margin:0 0 6px}
p{margin:4px 0}.quiet{color:#5d6b64}.note{background:#fdf3dc;border:1px solid #ecd9a6;border-radius:8px;padding:10px 14px;margin:14px 0}
.card{background:#fff;border:1px solid #dfe4e0;border-radius:10px;padding:14px 16px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px;margin:18px 0}
.tile b{display:block;font-size:22px}.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:14px}
table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:4px 10px;border-bottom:1px solid #eceeec;font-variant-numeric:tabular-nums}
th{font-weight:600;color:#5d6b64}th:first-child,td:first-child{text-align:left}tr.head td{font-weight:600;padding-top:14px}
.out{color:#b3382c}svg{width:100%;height:auto;display:block}
.axis{font-size:11px;fill:#5d6b64}.grid{stroke:#e4e8e5}.step{font-size:14px;fill:#1d2a24}.value{font-size:13px;fill:#1d2a24}.mark{font-size:12px;fill:#b3382c}
</style></head><body><main>
<h1>{{.First.Title}}</h1>
<p class="quiet">{{.First.Campaign}} · rehearsal of {{number .First.Members}} members over {{len .First.Days}} days from {{date .First.From}} · {{if .First.Population}}population {{.First.Population}}, seed {{.First.Seed}}{{else}}past events{{end}}</p>
{{if .First.Derived}}<p class="note">Nobody told how members behave, so a population was derived from the campaign. The numbers show what may happen, not what will.</p>{{end}}
{{if .Comparison}}<h2>A and B</h2><p>A: {{index .Comparison.Names 0}}<br>B: {{index .Comparison.Names 1}}</p><p class="quiet">The same members with the same luck go through both.</p>
<div class="card"><table><tr><th></th><th>A</th><th>B</th><th>A − B</th></tr>{{range .Rows}}{{if .Head}}<tr class="head"><td colspan="4">{{.Section}}</td></tr>{{else}}<tr><td>{{.Name}}</td><td>{{.This}}</td><td>{{.Against}}</td><td>{{.Difference}}</td></tr>{{end}}{{end}}</table></div>{{end}}
{{range $v := .Versions}}{{$r := $v.R}}{{if $v.Name}}<h2>{{$v.Name}}</h2>{{end}}
<div class="tiles">{{range $r.Journeys}}<div class="card tile">{{.Journey}}<b>{{number .Entered}}</b>entered{{if .HasGoal}}, {{share .Converted .Entered}} converted{{end}}</div>{{end}}
<div class="card tile">Messages<b>{{number $r.PerMember.Sum}}</b>per member p99 {{$r.PerMember.P99}}, max {{$r.PerMember.Max}}</div>
{{if $r.Revenue.Orders}}<div class="card tile">Paid<b>{{money $r $r.Revenue.Paid}}</b>{{money $r $r.Revenue.Refunded}} refunded</div><div class="card tile">ARPU<b>{{money $r $r.Revenue.ARPU}}</b>of {{number $r.Revenue.Entrants}} who entered</div>{{end}}</div>
{{range $v.Journeys}}<h2>Journey {{.J.Journey}}</h2><div class="card">{{.Funnel}}
<p class="quiet">{{range $i, $o := .J.Outcomes}}{{if $i}} · {{end}}{{$o.Name}} {{number $o.Count}}{{end}}{{if .J.Active}} · under way {{number .J.Active}}{{end}}</p>
{{with .J.Holdout}}<p class="quiet">Held out {{number .Entered}}, of whom {{number .Converted}} converted ({{share .Converted .Entered}}).</p>{{end}}
{{if and .J.HasGoal .J.Segments}}<table><tr><th>Segment at the entry</th><th>entered</th><th>converted</th><th></th></tr>{{range .J.Segments}}<tr><td>{{.Segment}}</td><td>{{number .Entered}}</td><td>{{number .Converted}}</td><td>{{share .Converted .Entered}}</td></tr>{{end}}</table>{{end}}</div>{{end}}
<h2>Over time</h2><div class="charts">{{range $v.Time}}<div class="card"><h3>{{.Title}}</h3>{{.SVG}}</div>{{end}}</div>
{{if $v.Limits}}<h2>Budgets and stock</h2><div class="charts">{{range $v.Limits}}<div class="card"><h3>{{.Title}}</h3><p class="quiet">{{.Note}}</p>{{.SVG}}</div>{{end}}</div>{{end}}
<h2>Messages</h2><div class="charts"><div class="card"><table><tr><th></th><th>sent</th><th>quiet hours</th><th>cap</th><th>not sent</th></tr>{{range $r.Messages}}<tr><td>{{.Message}}</td><td>{{number .Sent}}</td><td>{{number .Quiet}}</td><td>{{number .Capped}}</td><td>{{number (sum .NotSent)}}</td></tr>{{end}}</table></div>
<div class="card"><h3>Members by how many messages they get</h3>{{$v.Spread}}</div></div>
{{if $r.Offers}}<h2>Offers</h2><div class="card"><table><tr><th></th><th>opened</th><th>taken</th><th>lapsed</th><th>withdrawn</th><th>open</th><th>paid, not taken</th><th>revenue</th></tr>{{range $r.Offers}}<tr><td>{{.Offer}}</td><td>{{number .Opened}}</td><td>{{number .Taken}}</td><td>{{number .Lapsed}}</td><td>{{number .Withdrawn}}</td><td>{{number .Open}}</td><td>{{number .Refused}}</td><td>{{money $r .Revenue}}</td></tr>{{end}}</table></div>{{end}}
{{if $r.Rewards}}<h2>Rewards</h2><div class="card"><table><tr><th></th><th>granted</th><th>points</th><th>refused</th></tr>{{range $r.Rewards}}<tr><td>{{.Reward}}</td><td>{{number .Granted}}</td><td>{{number .Points}}</td><td>{{number (sum .Refused)}}</td></tr>{{end}}</table></div>{{end}}
{{with $r.Points}}<h2>Points</h2><div class="card"><table><tr><th></th><th>events</th><th>points</th><th>over a day</th><th>too often</th><th>taken back</th></tr>{{range .Rules}}<tr><td>{{.Rule}}</td><td>{{number .Gains}}</td><td>{{number .Points}}</td><td>{{number .RefusedPerDay}}</td><td>{{number .RefusedPerMember}}</td><td>{{number .Reversed}}</td></tr>{{end}}</table>{{range .Levels}}<p>level {{.Level}}: {{number .Risen}} rose to it, {{number .Fallen}} fell from it</p>{{end}}{{if .Expired}}<p>{{number .Expired}} points passed their end</p>{{end}}</div>{{end}}
{{if $r.Reviews}}<h2>Reviews for people</h2><div class="card"><table>{{range $r.Reviews}}<tr><td>{{.Name}}</td><td>{{number .Count}}</td></tr>{{end}}</table></div>{{end}}
{{if $r.Faults}}<h2 class="out">Expressions that could not be worked out</h2><div class="card"><table>{{range $r.Faults}}<tr><td>{{.Name}}</td><td>{{number .Count}}</td></tr>{{end}}</table></div>{{end}}
{{end}}</main></body></html>
`))

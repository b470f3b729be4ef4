package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is what a run of one benchmark found.
type Result struct {
	Name     string         `json:"name"`
	Title    string         `json:"title"`
	Command  string         `json:"command"`
	At       time.Time      `json:"at"`
	Took     float64        `json:"took_seconds"`
	Sizes    map[string]int `json:"sizes"`
	Machine  Machine        `json:"machine"`
	Measures []Measure      `json:"measures"`
	Goals    []Goal         `json:"goals"`
	Says     []string       `json:"says,omitempty"` // what the numbers alone do not say
}

// Measure is one quantity of one of the things compared, with a sample for each round.
type Measure struct {
	Of      string    `json:"of"`   // the case, such as "one message, Temporal on PostgreSQL"
	What    string    `json:"what"` // the quantity
	By      string    `json:"by"`   // Banyan, or what it is compared with
	Unit    string    `json:"unit"`
	Samples []float64 `json:"samples"`
}

// Goal is a bound that was set before the measurement.
type Goal struct {
	Text  string  `json:"text"`
	Of    string  `json:"of"`
	Got   float64 `json:"got"`
	Limit float64 `json:"limit"`
	Least bool    `json:"least"` // the limit is the least, else the most
	Met   bool    `json:"met"`
}

// run is a benchmark under way.
type run struct {
	Result
	progress io.Writer
	short    bool
	full     bool
	profile  string
	houses   int
}

func newRun(b *benchmark, short, full bool, chose map[string]bool, progress io.Writer) *run {
	r := &run{Result: Result{Name: b.name, Title: b.title, At: time.Now().UTC().Truncate(time.Second), Sizes: map[string]int{}}, short: short, full: full, progress: progress}
	words := []string{"go run . " + b.name}
	switch {
	case short:
		words = append(words, "--short")
	case full:
		words = append(words, "--full")
	}
	for _, s := range b.sizes {
		value := s.usual
		switch {
		case chose[b.name+"."+s.name]:
			value = s.value
			words = append(words, fmt.Sprintf("--%s.%s=%d", b.name, s.name, value))
		case short:
			value = s.short
		case full:
			value = s.full
		}
		r.Sizes[s.name] = value
	}
	// Flags stand before names.
	r.Command = strings.Join(append(append([]string{"go run ."}, words[1:]...), b.name), " ")
	return r
}

// size is the value of one of the benchmark's sizes.
func (r *run) size(name string) int {
	value, ok := r.Sizes[name]
	if !ok {
		panic("bench: " + r.Name + " has no size " + name)
	}
	return value
}

// rounds calls each of the compared in turn, the first number again when all have been.
func rounds(n int, compared ...func(round int) error) error {
	for round := range n {
		for _, one := range compared {
			if err := one(round); err != nil {
				return err
			}
		}
	}
	return nil
}

// add notes one sample.
func (r *run) add(of, what, by, unit string, sample float64) {
	fmt.Fprintf(r.progress, "  %s · %s · %s: %s %s\n", of, by, what, number(sample), unit)
	i := slices.IndexFunc(r.Measures, func(m Measure) bool { return m.Of == of && m.What == what && m.By == by })
	if i < 0 {
		i = len(r.Measures)
		r.Measures = append(r.Measures, Measure{Of: of, What: what, By: by, Unit: unit})
	}
	r.Measures[i].Samples = append(r.Measures[i].Samples, sample)
}

// median is the median of what was noted; NaN if nothing was.
func (r *run) median(of, what, by string) float64 {
	for _, m := range r.Measures {
		if m.Of == of && m.What == what && m.By == by {
			return median(m.Samples)
		}
	}
	return math.NaN()
}

// atLeast and atMost judge a goal. One that could not be measured is not judged.
func (r *run) atLeast(of, text string, got, limit float64) { r.judge(of, text, got, limit, true) }
func (r *run) atMost(of, text string, got, limit float64)  { r.judge(of, text, got, limit, false) }

func (r *run) judge(of, text string, got, limit float64, least bool) {
	if math.IsNaN(got) || math.IsInf(got, 0) {
		return
	}
	met := got <= limit
	if least {
		met = got >= limit
	}
	r.Goals = append(r.Goals, Goal{Text: text, Of: of, Got: got, Limit: limit, Least: least, Met: met})
}

// say notes what the numbers alone do not say.
func (r *run) say(format string, args ...any) { r.Says = append(r.Says, fmt.Sprintf(format, args...)) }

// finish fills in where it was measured.
func (r *run) finish(ctx context.Context) error {
	m, err := machine(ctx)
	m.Postgres, m.Temporal = r.Machine.Postgres, r.Machine.Temporal
	r.Machine = m
	return err
}

// keep writes the result where the page finds it.
func (r *run) keep(dir string) error {
	data, err := json.MarshalIndent(r.Result, "", "  ")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, r.Name+".json"), append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("keep the result: %w", err)
	}
	return nil
}

func (r *Result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s — %s (%.0f s)\n", r.Name, r.Title, r.Took)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, of := range r.cases() {
		fmt.Fprintf(table, "\n%s\n", of)
		for _, row := range r.rows(of) {
			fmt.Fprintf(table, "  %s\n", strings.Join(row, "\t"))
		}
	}
	_ = table.Flush()
	fmt.Fprintln(w)
	for _, g := range r.Goals {
		fmt.Fprintf(w, "  %s  %s: %s\n", map[bool]string{true: "met   ", false: "MISSED"}[g.Met], g.line(), number(g.Got))
	}
	for _, s := range r.Says {
		fmt.Fprintf(w, "  %s\n", s)
	}
	fmt.Fprintln(w)
}

func (g *Goal) line() string {
	sign := "≤"
	if g.Least {
		sign = "≥"
	}
	return fmt.Sprintf("%s, %s %s %s", g.Of, g.Text, sign, number(g.Limit))
}

// cases are the things measured, each once, in the order in which they were.
func (r *Result) cases() []string {
	var list []string
	for _, m := range r.Measures {
		if !slices.Contains(list, m.Of) {
			list = append(list, m.Of)
		}
	}
	return list
}

// rows are what was measured of one case, a head first.
func (r *Result) rows(of string) [][]string {
	rows := [][]string{{"what", "by", "median", "lowest – highest", "rounds"}}
	var whats []string
	for _, m := range r.Measures {
		if m.Of == of && !slices.Contains(whats, m.What) {
			whats = append(whats, m.What)
		}
	}
	for _, what := range whats {
		for _, m := range r.Measures {
			if m.Of != of || m.What != what {
				continue
			}
			rows = append(rows, []string{
				m.What, m.By, strings.TrimSpace(number(median(m.Samples)) + " " + m.Unit),
				number(slices.Min(m.Samples)) + " – " + number(slices.Max(m.Samples)), strconv.Itoa(len(m.Samples)),
			})
		}
	}
	return rows
}

func median(samples []float64) float64 { return percentile(samples, 50) }

// percentile interpolates between the nearest samples.
func percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	at := p / 100 * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// number writes a number with three figures, and whole ones whole.
func number(f float64) string {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return "–"
	case f == math.Trunc(f) && abs < 1e15, abs >= 1000:
		return thousands(strconv.FormatFloat(math.Round(f), 'f', 0, 64))
	case abs >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case abs >= 1:
		return strconv.FormatFloat(f, 'f', 2, 64)
	}
	return strconv.FormatFloat(f, 'g', 2, 64)
}

func thousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/chaos/judge"
)

func (d deed) line() string {
	text := d.what
	if d.err != nil {
		text += ": " + d.err.Error()
	}
	return text
}

// report is what a run did and proved, in words.
func (r *round) report(v *judge.Verdict, settling time.Duration) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	o, n := r.o, &v.Counts
	line("chaos with seed %d: %d members, %d faults in %s, clocks %d times as fast", o.seed, o.members, o.faults, o.duration, o.factor)
	line("Go %s, %d processors, %s", strings.TrimPrefix(runtime.Version(), "go"), runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH)
	line("")
	line("faults, by the second at which they began")
	deeds := slices.Clone(r.adversary.deeds)
	slices.SortFunc(deeds, func(a, b deed) int { return int(a.at - b.at) })
	for _, d := range deeds {
		line("  %6.1f  %s", d.at.Seconds(), d.line())
	}
	line("")
	line("members by campaign and outcome")
	for _, name := range slices.Sorted(maps.Keys(v.Outcomes)) {
		line("  %5d  %s", v.Outcomes[name], name)
	}
	line("")
	quits := []string{}
	for _, p := range r.fleet.all() {
		lives, q := p.history()
		quits = append(quits, fmt.Sprintf("%s %d (%d)", p.name, lives, q))
	}
	stats := r.fleet.receiver.Stats()
	line("events       %d told in %d tries; %d told once more; %d calls failed and were repeated", n.Events, n.Tries, n.Again, r.crowd.failed.Load())
	line("messages     %d: %d sent, %d dropped past their use, %d unknown", n.Messages, n.Sent, n.Dropped, n.Unknown)
	line("receiver     %d requests: %d taken, %d repeated under the same key, %d turned away, %d unsigned or stale", stats.Requests, stats.Accepted,
		stats.Repeated, stats.NotTaken, stats.Unsigned)
	line("lives        %s; in brackets: ended by itself and started again", strings.Join(quits, ", "))
	r.fleet.serving.Lock()
	if q := r.fleet.quits; len(q) > 0 {
		line("servers      ended by themselves and started again: %v", q)
	}
	r.fleet.serving.Unlock()
	line("settled      %.0f s after the last fault", settling.Seconds())
	line("")
	for _, c := range v.Checks {
		mark := "✓"
		if !c.OK {
			mark = "✗"
		}
		line("%s %s: %s", mark, c.Name, c.Detail)
		for _, w := range c.Wrong {
			line("    %s", w)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// The marks between which a page keeps the last report.
const (
	reportBegins = "<!-- the last report of make chaos begins -->"
	reportEnds   = "<!-- the last report of make chaos ends -->"
)

// writeInto puts a report between the marks of a page.
func writeInto(page, report string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), reportBegins)
	_, after, ends := strings.Cut(rest, reportEnds)
	if !ok || !ends {
		return fmt.Errorf("%s has no place for the report: put the lines %q and %q where it is to stand", page, reportBegins, reportEnds)
	}
	return os.WriteFile(page, []byte(before+reportBegins+"\n```text\n"+report+"\n```\n"+reportEnds+after), 0o644) //nolint:gosec // a page for everybody
}

// unfinished is what must be none when everything has settled. Journeys of a year are
// meant to go on.
const unfinished = `
select (select count(*) from journeys where journey = 'trial-to-card' and (status = 'active' or due_at is not null)),
       (select count(*) from intents),
       (select count(*) from messages where state = 'claimed'),
       (select count(*) from messages m join effects e using (key) where m.state = 'unknown' and e.state = 'claimed')`

func (f *fleet) count(ctx context.Context) (n [4]int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return n, f.pool.QueryRow(ctx, unfinished).Scan(&n[0], &n[1], &n[2], &n[3])
}

// open is how much the fleet has still to do.
func (f *fleet) open(ctx context.Context) (int, error) {
	n, err := f.count(ctx)
	return n[0] + n[1] + n[2] + n[3], err
}

func (f *fleet) numbers(ctx context.Context) string {
	n, err := f.count(ctx)
	if err != nil {
		return "PostgreSQL does not answer: " + err.Error()
	}
	return fmt.Sprintf("%d journeys under way, %d intents, %d messages to be sent and %d in doubt", n[0], n[1], n[2], n[3])
}

// stuck is what a person would look at first.
func (f *fleet) stuck(ctx context.Context) string {
	var b strings.Builder
	for _, q := range []string{
		`select format('%s journeys of %s: %s %s %s', count(*), campaign, step_name, summary, listens) from journeys
		  where status = 'active' and journey = 'trial-to-card' group by campaign, step_name, summary, listens order by 1 limit 10`,
		`select format('%s intents %s, the oldest %s old, due in %s', count(*), kind, clock_timestamp() - min(created_at), min(due_at) - clock_timestamp()) from intents group by kind`,
		`select format('%s messages %s %s, effect %s', count(*), name, m.state, e.state) from messages m join effects e using (key)
		  where m.state in ('claimed', 'unknown') group by name, m.state, e.state limit 10`,
		`select format('e.g. %s %s %s', workflow_id, step_name, status) from journeys where status = 'active' and journey = 'trial-to-card' limit 5`,
		`select format('e.g. %s %s after %s attempts', key, state, attempts) from messages where state in ('claimed', 'unknown') limit 5`,
	} {
		rows, err := f.pool.Query(ctx, q)
		if err != nil {
			fmt.Fprintln(&b, err)
			continue
		}
		for rows.Next() {
			var line string
			if rows.Scan(&line) == nil {
				fmt.Fprintln(&b, "  "+line)
			}
		}
		rows.Close()
	}
	return b.String()
}

// Command bench measures Banyan: how fast it is, what it costs and how that grows. Each
// benchmark brings up servers of its own, measures Banyan and what one could have
// instead in turns (A B A B) in the same run, and prints a table.
//
//	go run .                              all benchmarks, about half an hour on two cores
//	go run . journeys history             some of them
//	go run . --list                       what there is, with the flags of each
//	go run . --short                      seconds: only to see that everything still runs
//	go run . --full                       the large sizes, up to a million members
//	go run . --json decision              the same numbers for machines
//	go run . --write ../docs/performance.md   the page, from the results that were kept
//
// Results are kept in results/NAME.json, except those of --short. A file notes/NAME.md
// explains a result in words and goes into the page with it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// benchmark is one program of the suite.
type benchmark struct {
	name, title string
	about       string // what is compared with what, for the page
	sizes       []size
	run         func(ctx context.Context, r *run) error
}

// size is a number that says how large a benchmark is, with its value by default, with
// --short and with --full.
type size struct {
	name, about               string
	usual, short, full, value int
}

// suite lists every benchmark in the order in which they run: the short ones first.
func suite() []*benchmark {
	return []*benchmark{
		decisionBench(), checkBench(), fraudBench(), audienceBench(), eventsBench(), grantsBench(), ledgerBench(), matchingBench(), historyBench(), journeysBench(), waitingBench(), millionBench(), broadcastBench(), tuningBench(),
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if role := os.Getenv(envRole); role != "" {
		if err := play(ctx, role); err != nil {
			fmt.Fprintln(os.Stderr, "bench", role+":", err)
			os.Exit(1) //nolint:gocritic // exitAfterDefer: the process ends
		}
		return
	}
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command is the whole program but for its exit.
func command(ctx context.Context, args []string, out, progress io.Writer) error {
	benches := suite()
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	short := flags.Bool("short", false, "the smallest sizes; results are not kept")
	full := flags.Bool("full", false, "the largest sizes")
	asJSON := flags.Bool("json", false, "print the results as JSON")
	list := flags.Bool("list", false, "list the benchmarks")
	keep := flags.String("keep", "results", "folder of the kept results")
	page := flags.String("write", "", "write the page of the kept results to this file, and measure nothing")
	profile := flags.String("profile", "", "folder for CPU profiles of Banyan's own processes")
	for _, b := range benches {
		for i := range b.sizes {
			s := &b.sizes[i]
			flags.IntVar(&s.value, b.name+"."+s.name, 0, fmt.Sprintf("%s (%d; --short %d, --full %d)", s.about, s.usual, s.short, s.full))
		}
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *list:
		for _, b := range benches {
			fmt.Fprintf(out, "%-10s %s\n", b.name, b.title)
		}
		return nil
	case *page != "":
		return writePage(*page, *keep, benches)
	}
	chosen, err := choose(benches, flags.Args())
	if err != nil {
		return err
	}
	chose := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { chose[f.Name] = true })
	var results []*Result
	for _, b := range chosen {
		r := newRun(b, *short, *full, chose, progress)
		r.profile = *profile
		fmt.Fprintf(progress, "%s: %s\n", b.name, b.title)
		began := time.Now()
		if err := b.run(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		r.Took = time.Since(began).Seconds()
		if err := r.finish(ctx); err != nil {
			return err
		}
		results = append(results, &r.Result)
		if !*asJSON {
			r.print(out)
		}
		if !*short {
			if err := r.keep(*keep); err != nil {
				return err
			}
		}
	}
	if *asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(results)
	}
	return nil
}

func choose(benches []*benchmark, names []string) ([]*benchmark, error) {
	if len(names) == 0 {
		return benches, nil
	}
	var chosen []*benchmark
	for _, name := range names {
		i := slices.IndexFunc(benches, func(b *benchmark) bool { return b.name == name })
		if i < 0 {
			var known []string
			for _, b := range benches {
				known = append(known, b.name)
			}
			return nil, fmt.Errorf("there is no benchmark %q; there are: %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, benches[i])
	}
	return chosen, nil
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// writePage writes the page from the results that were kept.
func writePage(file, dir string, benches []*benchmark) error {
	var page strings.Builder
	page.WriteString(pageHead)
	var results []*Result
	for _, b := range benches {
		r, err := readResult(filepath.Join(dir, b.name+".json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return fmt.Errorf("there are no results in %s; run the benchmarks first", dir)
	}
	summary(&page, results)
	for _, b := range benches {
		for _, r := range results {
			if r.Name != b.name {
				continue
			}
			// The words for a result stand beside the folder of the results.
			notes, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Clean(dir)), "notes", r.Name+".md"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("read the notes: %w", err)
			}
			section(&page, b, r, string(notes))
		}
	}
	if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func readResult(file string) (*Result, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read a result: %w", err)
	}
	r := &Result{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return r, nil
}

const pageHead = `# Performance

How fast Banyan is, what it costs and how that grows, beside what one could have instead.
This page is written by the benchmarks from their kept results; do not edit it.

` + "```sh\n" + `make bench                                        # all of it, about half an hour on two cores
cd bench && go run . --list                       # what there is
cd bench && go run . --full million               # a larger size of one
cd bench && go run . --write ../docs/performance.md
` + "```" + `

Every figure was taken in one run with the one it stands beside, in turns (A B A B); the spread is that of
the rounds. Trust the ratios more than the figures: the machine was small, and not always alone. The servers
run on the same machine, PostgreSQL waits for the disk at every commit, and its settings are the
defaults but for 200 connections. The goals were set before anything was measured.

`

// summary is the table of goals.
func summary(w *strings.Builder, results []*Result) {
	w.WriteString("## Goals\n\n| benchmark | goal | measured | |\n| --- | --- | --- | --- |\n")
	for _, r := range results {
		for i := range r.Goals {
			g := &r.Goals[i]
			fmt.Fprintf(w, "| [%s](#%s) | %s | %s | %s |\n", r.Name, r.Name, cell(g.line()), number(g.Got), map[bool]string{true: "met", false: "**missed**"}[g.Met])
		}
	}
	w.WriteString("\n")
}

func section(w *strings.Builder, b *benchmark, r *Result, notes string) {
	fmt.Fprintf(w, "## %s\n\n**%s%s.** %s\n\n", r.Name, strings.ToUpper(r.Title[:1]), r.Title[1:], b.about)
	fmt.Fprintf(w, "```sh\ncd bench && %s\n```\n\n", r.Command)
	for _, of := range r.cases() {
		if len(r.cases()) > 1 || of != "" {
			fmt.Fprintf(w, "%s:\n\n", of)
		}
		for i, row := range r.rows(of) {
			for j := range row {
				row[j] = cell(row[j])
			}
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				fmt.Fprintf(w, "|%s\n", strings.Repeat(" --- |", len(row)))
			}
		}
		w.WriteString("\n")
	}
	for _, s := range r.Says {
		fmt.Fprintf(w, "%s\n\n", s)
	}
	for i := range r.Goals {
		g := &r.Goals[i]
		fmt.Fprintf(w, "- %s: %s (measured: %s)\n", map[bool]string{true: "met", false: "**missed**"}[g.Met], g.line(), number(g.Got))
	}
	if len(r.Goals) > 0 {
		w.WriteString("\n")
	}
	if notes = strings.TrimSpace(notes); notes != "" {
		w.WriteString(notes + "\n\n")
	}
	fmt.Fprintf(w, "Measured on %s in %s s: %s.\n\n", r.At.Format("2006-01-02"), number(r.Took), r.Machine.words())
}

func (m *Machine) words() string {
	parts := []string{
		fmt.Sprintf("%d cores (%s)", m.Cores, m.CPU), fmt.Sprintf("%.0f GB of memory", float64(m.MemoryMB)/1024), m.OS, m.Go, "Temporal SDK " + m.SDK,
	}
	if m.Postgres != "" {
		parts = append(parts, "PostgreSQL "+m.Postgres)
	}
	if m.Temporal != "" {
		parts = append(parts, "Temporal server "+m.Temporal)
	}
	return strings.Join(parts, ", ")
}

// cell makes a text fit into a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

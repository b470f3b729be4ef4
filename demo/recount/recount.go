// Package recount counts again what the demo's campaign must have done, from the file
// of members and the file of events alone. It shares nothing with the engine: it knows
// the one campaign, by heart, and follows each member by plain arithmetic. Where the two
// agree, both have understood the campaign the same way.
package recount

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Numbers are counts by name, such as "offer monthly-card taken".
type Numbers map[string]int

// Compare tells in what a campaign's numbers differ from those that were counted again.
// Tags are in no report, and what went back of points (back points) is in the ledger.
func Compare(got, want Numbers) (differences []string) {
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if got[name] != want[name] && !strings.HasPrefix(name, "tag ") && !strings.HasPrefix(name, "back ") {
			differences = append(differences, fmt.Sprintf("%s: %d, counted again %d", name, got[name], want[name]))
		}
	}
	return differences
}

// event is a line of the file of events.
type event struct {
	Arrives    time.Time
	ID         string
	Type       string
	Member     string
	Time       time.Time
	Properties struct {
		Order, Offer string
		Amount       struct{ Amount string }
	}
}

func (e *event) paid() float64 {
	yuan, _ := strconv.ParseFloat(e.Properties.Amount.Amount, 64)
	return yuan
}

// Count follows every member.
func Count(members, events io.Reader) (Numbers, error) {
	staff, err := readStaff(members)
	if err != nil {
		return nil, err
	}
	of, err := readEvents(events)
	if err != nil {
		return nil, err
	}
	n := Numbers{}
	for member, list := range of {
		if !staff[member] {
			(&walk{n: n, events: list}).all(member)
		}
	}
	return n, nil
}

func readStaff(r io.Reader) (map[string]bool, error) {
	lines, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the members: %w", err)
	}
	staff := map[string]bool{}
	for _, line := range lines[1:] {
		staff[line[0]] = slices.Contains(strings.Fields(line[4]), "staff")
	}
	return staff, nil
}

// readEvents gives each member's events as they arrived, each id once.
func readEvents(r io.Reader) (map[string][]event, error) {
	of, known := map[string][]event{}, map[string]bool{}
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			return of, lines.Err()
		}
		var e event
		if err := json.NewDecoder(bytes.NewReader(lines.Bytes())).Decode(&e); err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		if !known[e.ID] {
			known[e.ID] = true
			of[e.Member] = append(of[e.Member], e)
		}
	}
}

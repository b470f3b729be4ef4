package rules

import (
	"strings"
	"unicode"
)

// Nearest finds the name in known that name was most likely meant to be, or "" when
// none is close enough to be worth a suggestion. It counts in characters, not bytes,
// so that names in Chinese compare like names in Latin letters, and takes letters of
// either case for the same. Between equally near names the one that stands first wins.
func Nearest(name string, known []string) string {
	want := fold(name)
	best, bestDistance := "", -1
	for _, k := range known {
		have := fold(k)
		limit := reach(max(len(want), len(have)))
		if abs(len(want)-len(have)) > limit {
			continue
		}
		d := distance(want, have)
		if d > limit || k == name {
			continue
		}
		if bestDistance < 0 || d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return contained(name, known)
	}
	return best
}

// reach is how many slips a name of n characters may differ by. One slip in three
// characters is where a suggestion starts to be a guess; a name of one or two
// characters differs from every other by as much, so nothing is near it but itself in
// other letters' case.
func reach(n int) int {
	switch {
	case n <= 2:
		return 0
	case n <= 5:
		return 1
	case n <= 8:
		return 2
	}
	return min(n/3, maxSlips)
}

// maxSlips bounds what is still called near, however long the names.
const maxSlips = 4

// contained finds the only known name that continues name, or that name continues, at
// a word's edge: "card" or "monthly" for "monthly-card".
func contained(name string, known []string) string {
	if len([]rune(name)) < 3 {
		return ""
	}
	found := ""
	for _, k := range known {
		if k == name || !hasWords(k, name) && !hasWords(name, k) {
			continue
		}
		if found != "" {
			return ""
		}
		found = k
	}
	return found
}

func hasWords(long, short string) bool {
	if len(short) < 3 || len(short) >= len(long) {
		return false
	}
	rest, ok := strings.CutPrefix(long, short)
	if ok && strings.ContainsRune("-._", rune(rest[0])) {
		return true
	}
	rest, ok = strings.CutSuffix(long, short)
	return ok && strings.ContainsRune("-._", rune(rest[len(rest)-1]))
}

func fold(s string) []rune {
	runes := []rune(s)
	for i, r := range runes {
		runes[i] = unicode.ToLower(r)
	}
	return runes
}

// distance is the optimal string alignment distance: insertions, deletions, changes
// and swaps of neighbours count one each.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

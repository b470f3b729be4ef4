package simulate

import (
	"cmp"
	"slices"
	"time"
)

// Stock and budgets are all that members share. A claim on one of them is granted while less
// than the limit was granted before it, in the order of virtual time; members at the very
// same moment are in the order of their numbers. Since one claim takes as much as another,
// the whole answer about a limit is one place in that order: the last claim that is
// granted, the cut.
//
// Given the cuts, each member can be taken by herself, in any order and on any number of
// cores. So the cuts are found by trying: everybody is taken with cuts that were guessed,
// the claims that were made say what the cuts would be, and those members whose claims
// fall between the two are taken again. Cuts that the claims confirm are the right ones,
// and there is only one such answer: before the first claim about which two answers differed,
// both would have granted the same. Each round puts the earliest wrong cut right, so there
// are at most as many rounds as limits, and one more.
//
// A grant may claim from two limits, that of its day and that in all. It takes from neither
// where one refuses, so it counts against the day only where the other grants it.

// claim is the place of a claim in the order of all.
type claim struct {
	at     int64 // Unix nanoseconds
	member int32
	n      int32 // of the member's own claims
	void   bool  // another limit refused it: it takes nothing of this one
}

func (c claim) compare(d claim) int {
	return cmp.Or(cmp.Compare(c.at, d.at), cmp.Compare(c.member, d.member), cmp.Compare(c.n, d.n))
}

// never is behind every claim: the cut of a limit that is not reached.
var never = claim{at: 1<<63 - 1}

func (c claim) time() time.Time { return time.Unix(0, c.at).UTC() }

// ledger answers the claims of one member by given cuts, and notes them.
type ledger struct {
	cuts   []claim
	member int32
	claims [][]claim // by limit; nil: they are not noted
}

func (k *ledger) may(limits []int, at time.Time, n int) int {
	c := claim{at: at.UnixNano(), member: k.member, n: int32(n)}
	for i, limit := range limits {
		if k.claims != nil {
			k.claims[limit] = append(k.claims[limit], c)
		}
		if c.compare(k.cuts[limit]) <= 0 {
			continue
		}
		for _, before := range limits[:i] {
			if list := k.claims[before]; k.claims != nil {
				list[len(list)-1].void = true
			}
		}
		return limit
	}
	return -1
}

func uncut(limits int) []claim {
	cuts := make([]claim, limits)
	for i := range cuts {
		cuts[i] = never
	}
	return cuts
}

// cutsOf says which cuts the claims call for; they are sorted by it. share is the part of
// the members that made them.
func cutsOf(limits []limit, claims [][]claim, share int) []claim {
	cuts := uncut(len(limits))
	for i, list := range claims {
		slices.SortFunc(list, claim.compare)
		left := max(1, limits[i].most/share)
		for _, c := range list {
			if c.void {
				continue
			}
			if left--; left == 0 {
				cuts[i] = c
				break
			}
		}
	}
	return cuts
}

// between marks the members whose claims are answered differently by two sets of cuts.
func between(claims [][]claim, a, b []claim) map[int32]bool {
	members := map[int32]bool{}
	for i, list := range claims {
		lo, hi := a[i], b[i]
		if lo.compare(hi) > 0 {
			lo, hi = hi, lo
		}
		for _, c := range list {
			if c.compare(lo) > 0 && c.compare(hi) <= 0 {
				members[c.member] = true
			}
		}
	}
	return members
}

// counter keeps limits in the order in which it is asked: for one member alone, as a
// campaign test needs it.
type counter struct {
	p    *Plan
	left map[int]int // by limit; those that are not in it are whole
}

func newCounter(p *Plan) *counter { return &counter{p, map[int]int{}} }

func (k *counter) may(limits []int, _ time.Time, _ int) int {
	for _, limit := range limits {
		if _, known := k.left[limit]; known {
			continue
		}
		if fixed := len(k.p.limits); limit < fixed {
			k.left[limit] = k.p.limits[limit].most
		} else {
			k.left[limit] = k.p.daily[(limit-fixed)%len(k.p.daily)].most
		}
	}
	for _, limit := range limits {
		if k.left[limit] == 0 {
			return limit
		}
	}
	for _, limit := range limits {
		k.left[limit]--
	}
	return -1
}

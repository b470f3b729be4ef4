package simulate

import (
	"cmp"
	"slices"
	"time"
)

// Stock and budgets are all that members share. A claim on one of them is granted while less
// than the limit was granted before it, in the order of virtual time; members at the very
// same moment are in the order of their numbers. Where one claim takes as much as another,
// and where they do not (the steps of a reward) from the first that finds too little, the
// whole answer about a limit is one place in that order: the last claim that is
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
	takes  int   // how much of the limit
	void   bool  // another limit refused it: it takes nothing of this one
}

func (c claim) compare(d claim) int {
	return cmp.Or(cmp.Compare(c.at, d.at), cmp.Compare(c.member, d.member), cmp.Compare(c.n, d.n))
}

// never is behind every claim: the cut of a limit that is not reached; none is before all.
var (
	never = claim{at: 1<<63 - 1}
	none  = claim{at: -1 << 63}
)

func (c claim) time() time.Time { return time.Unix(0, c.at).UTC() }

// What is left of a budget may be asked as well. The answer depends on every claim before the
// question, not on the cut alone, so then the claims that are granted are part of the
// answer that is looked for. It is found in the same way, with everybody taken anew in
// each round; rounds go on for as long as the granted claims change. A campaign whose members
// each turn the answer of the next, as one that asks whether an even number is left, may
// need a round for each of them; such a rehearsal is given up.

// ledger answers the claims of one member by given cuts, and notes them.
type ledger struct {
	limits []limit
	before [][]claim // by limit: the claims that are granted, in order; each with what all up to it take
	cuts   []claim
	member int32
	claims [][]claim // by limit; nil: they are not noted
}

func (k *ledger) may(limits []int, takes int, at time.Time, n int) int {
	c := claim{at: at.UnixNano(), member: k.member, n: int32(n), takes: takes}
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

func (k *ledger) remains(limit int, at time.Time, n int) int64 {
	taken := 0
	if k.before != nil {
		list := k.before[limit]
		if i, _ := slices.BinarySearchFunc(list, claim{at: at.UnixNano(), member: k.member, n: int32(n)}, claim.compare); i > 0 {
			taken = list[i-1].takes
		}
	}
	return k.limits[limit].left(taken)
}

// grantedOf lists the claims that are granted by given cuts, as ledger.before; they are sorted.
func grantedOf(claims [][]claim, cuts []claim) [][]claim {
	granted := make([][]claim, len(claims))
	for i, list := range claims {
		taken := 0
		for _, c := range list {
			if c.void || c.compare(cuts[i]) > 0 {
				continue
			}
			taken += c.takes
			c.takes = taken
			granted[i] = append(granted[i], c)
		}
	}
	return granted
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
		left, last := max(1, limits[i].most/share), none
		for _, c := range list {
			if c.void {
				continue
			}
			takes := max(1, c.takes)
			if left < takes {
				cuts[i] = last
				break
			}
			if left -= takes; left == 0 {
				cuts[i] = c
				break
			}
			last = c
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
	p       *Plan
	left    map[int]int // by limit; those that are not in it are whole
	taken   map[int]int
	budgets map[int]int64 // what a budget began with, where it was not whole
}

func newCounter(p *Plan) *counter {
	return &counter{p, map[int]int{}, map[int]int{}, map[int]int64{}}
}

func (k *counter) may(limits []int, takes int, _ time.Time, _ int) int {
	for _, limit := range limits {
		if k.pieces(limit) < takes {
			return limit
		}
	}
	for _, limit := range limits {
		k.left[limit] -= takes
		k.taken[limit] += takes
	}
	return -1
}

func (k *counter) pieces(limit int) int {
	if _, known := k.left[limit]; !known {
		k.left[limit] = k.p.at(limit).most
	}
	return k.left[limit]
}

// begin lets a budget begin with so many points.
func (k *counter) begin(limit int, points int64) {
	l := k.p.at(limit)
	k.left[limit], k.budgets[limit] = int(points/l.unit), points
}

func (k *counter) remains(limit int, _ time.Time, _ int) int64 {
	l := k.p.at(limit)
	if points, ok := k.budgets[limit]; ok {
		l.budget = points
	}
	return l.left(k.taken[limit])
}

// back gives one back of a limit.
func (k *counter) back(limit int) {
	if _, known := k.left[limit]; known {
		k.left[limit]++
		k.taken[limit]--
	}
}

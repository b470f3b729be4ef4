package simulate

import (
	"hash/fnv"
	"time"
)

// luck is a stream of chance. Every member has one of her own, and every thing that she
// may do has one of its own within it: what happens to her in one version of a campaign
// takes no luck from what happens to her in another.
type luck struct{ state uint64 }

// luckOf is a member's luck under a seed.
func luckOf(seed uint64, member string) luck {
	h := fnv.New64a()
	_, _ = h.Write([]byte(member)) // never fails
	return luck{mix(h.Sum64() ^ mix(seed))}
}

// of is the luck of the n-th time that she may do a thing.
func (l luck) of(thing, n int) luck {
	return luck{mix(l.state + uint64(thing)*0x9e3779b97f4a7c15 + uint64(n)*0xd1342543de82ef95)}
}

// mix is the finalizer of SplitMix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (l *luck) next() uint64 {
	l.state += 0x9e3779b97f4a7c15
	return mix(l.state)
}

// part is a number from 0 up to but not including 1,000,000.
func (l *luck) part() int { return l.below(million) }

const million = 1_000_000

// below is a number from 0 to n-1.
func (l *luck) below(n int) int { return int(l.next() % uint64(n)) }

// between is a span from lo to hi, in whole seconds.
func (l *luck) between(lo, hi time.Duration) time.Duration {
	seconds := int((hi - lo) / time.Second)
	if seconds <= 0 {
		return lo
	}
	return lo + time.Duration(l.below(seconds+1))*time.Second
}

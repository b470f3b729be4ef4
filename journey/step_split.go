package journey

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/banyanhq/banyan/campaign"
)

// enterSplit leads the member to her arm. Who is held out goes the same way, since she
// is measured like the rest, but is not exposed.
func (r *runner) enterSplit(n *node, s *campaign.Split) {
	arm := s.Arms[ArmOf(r.in.ID.Campaign, s.Name, r.in.ID.Member, s.Arms)].Name
	if r.s.Holdout || slices.Contains(r.s.Splits, s.Name) {
		r.trace(campaign.TraceChose, n.id, "case", arm)
	} else {
		r.s.Splits = append(r.s.Splits, s.Name)
		r.d.Exposures = append(r.d.Exposures, campaign.Exposure{Split: s.Name, Arm: arm, At: r.s.Since})
		r.trace(campaign.TraceExposed, n.id, "split", s.Name, "arm", arm)
	}
	r.move(n.blocks[arm])
}

// ArmOf decides by a stable hash at which arm of a split a member comes, as an index
// into arms. It depends on the names and shares of the arms and not on their order.
//
// Each arm draws a number for the member, and the arm wins whose draw is the lowest in
// proportion to its share. So when one share changes, members move from or to that arm
// alone, and no more of them than the change takes.
func ArmOf(campaignName, split, member string, arms []campaign.Arm) int {
	best, least := 0, uint64(0)
	for i, arm := range arms {
		sum := sha256.Sum256([]byte("split\x00" + campaignName + "\x00" + split + "\x00" + member + "\x00" + arm.Name))
		drawn := minusLog2(binary.BigEndian.Uint64(sum[:8]))
		// drawn/share < least/share of the best, without a division.
		if i == 0 || drawn*uint64(arms[best].Share) < least*uint64(arm.Share) {
			best, least = i, drawn
		}
	}
	return best
}

// logBits is how many binary places minusLog2 has. With the six before the point and a
// share of at most 10,000 a product has fewer than 64 bits.
const logBits = 42

// minusLog2 is -log2((u+1)/2^64) in units of 2^-logBits. It is reckoned in whole numbers,
// because the last digit of a float's logarithm differs from machine to machine, and a
// member must not.
func minusLog2(u uint64) uint64 {
	if u == ^uint64(0) {
		return 0
	}
	u++
	zeros := bits.LeadingZeros64(u)
	x := u << zeros // 1 ≤ x/2^63 < 2
	var fraction uint64
	for range logBits {
		fraction <<= 1
		hi, lo := bits.Mul64(x, x) // x² / 2^126
		if hi>>63 == 1 {
			fraction |= 1
			x = hi
		} else {
			x = hi<<1 | lo>>63
		}
	}
	return uint64(zeros+1)<<logBits - fraction
}

package store

import "math"

// Rate is a share with its 95 % interval.
type Rate struct {
	Of    int64   `json:"of" doc:"How many could"`
	Did   int64   `json:"did" doc:"How many did"`
	Share float64 `json:"share" doc:"From 0 to 1"`
	Low   float64 `json:"low" doc:"Lower end of the 95 % interval (Wilson)"`
	High  float64 `json:"high" doc:"Upper end"`
}

// Uplift is what the campaign did to a rate: the difference to the holdout group, in
// shares, with its 95 % interval (Newcombe's, of the two Wilson intervals).
type Uplift struct {
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	// Clear tells that the interval leaves out zero: the difference is hardly chance.
	Clear bool `json:"clear" doc:"The interval leaves out zero"`
}

// z is the 97.5th percentile of the normal distribution.
const z = 1.959963984540054

// rate computes the Wilson score interval, which holds its promise for small numbers
// and for shares near 0 and 1, where the usual one fails.
func rate(did, of int64) Rate {
	r := Rate{Of: of, Did: did}
	if of == 0 {
		r.High = 1
		return r
	}
	n, p := float64(of), float64(did)/float64(of)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	r.Share, r.Low, r.High = p, max(0, middle-half), min(1, middle+half)
	return r
}

func uplift(treated, held Rate) *Uplift {
	if treated.Of == 0 || held.Of == 0 {
		return nil
	}
	d := treated.Share - held.Share
	u := &Uplift{
		Difference: d,
		Low:        d - math.Hypot(treated.Share-treated.Low, held.High-held.Share),
		High:       d + math.Hypot(treated.High-treated.Share, held.Share-held.Low),
	}
	u.Clear = u.Low > 0 || u.High < 0
	return u
}

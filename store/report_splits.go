package store

import (
	"context"
	"slices"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// SplitReport is one experiment of a journey in one version.
type SplitReport struct {
	Split string      `json:"split"`
	Arms  []ArmReport `json:"arms" doc:"In the order of the definition"`
}

// ArmReport is what became of the members who came to one arm. A member counts once,
// however often she entered; a conversion counts if it came after the exposure.
type ArmReport struct {
	Arm       string  `json:"arm"`
	Share     float64 `json:"share" doc:"That the definition gives it, from 0 to 1"`
	Members   int64   `json:"members"`
	Converted *Rate   `json:"converted,omitempty" doc:"Absent for a journey without a goal"`
	Value     *Amount `json:"value,omitempty" doc:"Of the conversions; absent for a journey without a goal"`
	Uplift    *Uplift `json:"uplift,omitempty" doc:"The difference to the first arm; absent for that and where one of the two has no members"`
}

// splits fills in the experiments of journeys that have any.
func (b *reporter) splits(ctx context.Context) error {
	rows, err := b.q.ReportSplits(ctx, b.name)
	if err != nil {
		return err
	}
	for i := range b.r.Journeys {
		r := &b.r.Journeys[i]
		def, ok := b.definitions[int32(r.Version)]
		if !ok {
			continue
		}
		if j, ok := def.Journey(r.Journey); ok {
			r.Splits = b.splitsOf(r, j.Steps, nil, rows)
		}
	}
	return nil
}

// splitsOf lists the experiments of steps behind those that are listed already.
func (b *reporter) splitsOf(r *JourneyReport, steps campaign.Steps, list []SplitReport, rows []db.ReportSplitsRow) []SplitReport {
	for _, st := range steps {
		if s, ok := st.(*campaign.Split); ok && !slices.ContainsFunc(list, func(x SplitReport) bool { return x.Split == s.Name }) {
			list = append(list, SplitReport{Split: s.Name, Arms: b.arms(r, s, rows)})
		}
		for _, block := range campaign.Children(st) {
			list = b.splitsOf(r, block.Steps, list, rows)
		}
	}
	return list
}

func (b *reporter) arms(r *JourneyReport, s *campaign.Split, rows []db.ReportSplitsRow) []ArmReport {
	out := make([]ArmReport, len(s.Arms))
	for i, arm := range s.Arms {
		a := ArmReport{Arm: arm.Name, Share: float64(arm.Share) / campaign.WholeShare}
		var converted, value int64
		for _, row := range rows {
			if row.Journey == r.Journey && int(row.Version) == r.Version && row.Split == s.Name && row.Arm == arm.Name {
				a.Members, converted, value = row.Members, row.Converted, row.Value
			}
		}
		if r.Goal != nil {
			did, worth := rate(converted, a.Members), b.amount(value)
			if a.Converted, a.Value = &did, &worth; i > 0 {
				a.Uplift = uplift(did, *out[0].Converted)
			}
		}
		out[i] = a
	}
	return out
}

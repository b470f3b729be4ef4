package rules

import (
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/banyanhq/banyan/campaign"
)

// TeamView is what expressions may read of the team that a member came into. Who is held
// out is in none: hers has no code and nobody in it.
type TeamView struct {
	Code         string
	Size, Joined int
	EndsAt       time.Time
	Leader       bool
}

// teamObject describes team.
func teamObject() *object {
	o := newObject(varTeam)
	add := func(name string, typ *types.Type, of func(*activation, *TeamView) ref.Val) {
		o.add(&field{
			name: name, typ: typ,
			get: func(a *activation) (any, error) {
				if a.facts.Team == nil {
					return nil, errNoTeam
				}
				return of(a, a.facts.Team), nil
			},
			has: func(a *activation) bool { return a.facts.Team != nil },
		})
	}
	number := func(name string, of func(*TeamView) int) {
		add(name, types.IntType, func(_ *activation, v *TeamView) ref.Val { return types.Int(of(v)) })
	}
	add("code", types.StringType, func(_ *activation, v *TeamView) ref.Val { return types.String(v.Code) })
	number("size", func(v *TeamView) int { return v.Size })
	number("joined", func(v *TeamView) int { return v.Joined })
	number("missing", func(v *TeamView) int { return max(0, v.Size-v.Joined) })
	add("ends_at", types.TimestampType, func(a *activation, v *TeamView) ref.Val { return types.Timestamp{Time: v.EndsAt.In(a.env.loc)} })
	add("leader", types.BoolType, func(_ *activation, v *TeamView) ref.Val { return types.Bool(v.Leader) })
	return o
}

// errNoTeam is what reading a team gives where there has been none.
var errNoTeam = campaign.Errorf(campaign.CodeConflict, "this member has come into no team, so `team` cannot be read")

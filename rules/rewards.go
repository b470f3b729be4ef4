package rules

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/banyanhq/banyan/campaign"
)

// benefitsField describes member.benefits: the names of those that last now.
func benefitsField() *field {
	return &field{
		name: "benefits", typ: types.NewListType(types.StringType), ofTime: true,
		get: func(a *activation) (any, error) {
			if a.facts.Member == nil {
				return nil, errNoMember
			}
			return types.NewStringList(types.DefaultTypeAdapter, a.benefits()), nil
		},
		has: func(a *activation) bool { return a.facts.Member != nil && len(a.benefits()) > 0 },
	}
}

func (a *activation) benefits() []string {
	names := []string{}
	for i := range a.facts.Member.Benefits {
		if b := &a.facts.Member.Benefits[i]; b.LastsAt(a.facts.Now) {
			names = append(names, b.Name)
		}
	}
	return names
}

// reward puts the coupon or benefit that the member was granted last in the place of a
// call.
func (r *resolver) reward(e ast.Expr, f function, args []ast.Expr) bool {
	if r.scope.objects[varReward] == nil {
		return r.spoiled(e, e, Issue{
			Check: checkNotHere, Message: "`reward` cannot be read here", Hint: "what a member was granted is read in the steps, the goal and the exit of a journey, and in messages",
		})
	}
	if len(args) != 1 {
		return r.spoiled(e, e, wrongCall(f))
	}
	known := r.scope.objects[varReward].names
	name, ok := literalText(args[0])
	switch {
	case !ok:
		return r.spoiled(e, args[0], Issue{
			Check: checkArguments, Message: "the name of a reward is written out, in quotes", Hint: "write " + f.usage, Allowed: known,
		})
	case r.scope.objects[varReward].fields[name] != nil:
		r.reads[varReward] = true
		r.replace(e, varReward, name)
		return true
	}
	if w, ok := r.env.def.Reward(name); ok && w.Gift().Kind().InPoints() {
		return r.spoiled(e, args[0], Issue{
			Check: checkReward, Message: "reward `" + name + "` gives points, and nothing of it can be read", Hint: "read member.points", Allowed: known,
		})
	}
	return r.spoiled(e, args[0], Issue{
		Check: checkReward, Message: "there is no reward `" + name + "`", Hint: allowedHint(name, known, "rewards"), Allowed: known,
	})
}

// ReadsRewards reports whether an expression or a text reads what the member was granted.
func ReadsRewards(x interface{ Reads(string) bool }) bool { return x.Reads(varReward) }

// rewardsObject describes what reward() gives: one object for each reward that gives
// coupons or a benefit.
func (e *Env) rewardsObject() *object {
	all := newObject(varReward)
	for i := range e.def.Rewards {
		w := &e.def.Rewards[i]
		kind := w.Gift().Kind()
		if kind.InPoints() {
			continue
		}
		o := e.rewardObject(w, kind)
		all.add(&field{
			name: w.Name, typ: objectType(o.name), of: o,
			get: func(a *activation) (any, error) { return a, nil },
			has: func(a *activation) bool { _, ok := a.facts.Rewards[w.Name]; return ok },
		})
	}
	return all
}

func (e *Env) rewardObject(w *campaign.Reward, kind campaign.RewardKind) *object {
	o := newObject(`reward("` + w.Name + `")`)
	piece := func(a *activation) (*campaign.Piece, bool) {
		p, ok := a.facts.Rewards[w.Name]
		return &p, ok
	}
	// A text that speaks of what she does not have is not sent, rather than with a gap.
	add := func(name string, typ *types.Type, of func(*campaign.Piece) (ref.Val, bool)) {
		o.add(&field{
			name: name, typ: typ,
			get: func(a *activation) (any, error) {
				p, ok := piece(a)
				if !ok {
					return nil, campaign.Errorf(campaign.CodeConflict, "this member was not granted %s, so `%s.%s` cannot be read", w.Name, o.name, name)
				}
				v, ok := of(p)
				if !ok {
					return nil, campaign.Errorf(campaign.CodeConflict, "what this member was granted of %s has no end, so `%s.%s` cannot be read", w.Name, o.name, name)
				}
				return v, nil
			},
			has: func(a *activation) bool {
				p, ok := piece(a)
				if ok {
					_, ok = of(p)
				}
				return ok
			},
		})
	}
	if kind == campaign.RewardCoupon {
		add("code", types.StringType, func(p *campaign.Piece) (ref.Val, bool) { return types.String(p.Code), true })
		value := moneyValue{e.inCurrency(w.Coupon.Value)}
		o.add(&field{
			name: "value", typ: moneyType,
			get: func(*activation) (any, error) { return value, nil },
			has: func(*activation) bool { return !w.Coupon.Value.IsZero() },
		})
	}
	add("granted_at", types.TimestampType, func(p *campaign.Piece) (ref.Val, bool) { return types.Timestamp{Time: p.From.In(e.loc)}, true })
	add("ends_at", types.TimestampType, func(p *campaign.Piece) (ref.Val, bool) {
		return types.Timestamp{Time: p.Until.In(e.loc)}, !p.Until.IsZero()
	})
	// Of somebody who has none the state is "", so that a condition may ask for it.
	o.add(&field{
		name: "state", typ: types.StringType, ofTime: true, oneOf: pieceStates(kind),
		get: func(a *activation) (any, error) {
			p, ok := piece(a)
			if !ok {
				return types.String(""), nil
			}
			return types.String(stateOf(p, kind, a)), nil
		},
		has: func(a *activation) bool { _, ok := piece(a); return ok },
	})
	return o
}

func pieceStates(kind campaign.RewardKind) []string {
	states := []string{string(campaign.CouponGranted), string(campaign.CouponExpired), string(campaign.CouponVoided)}
	if kind == campaign.RewardCoupon {
		states = append(states, string(campaign.CouponRedeemed))
	}
	return states
}

// stateOf is the state at now: an end is an end, whether somebody has written it down or not.
func stateOf(p *campaign.Piece, kind campaign.RewardKind, a *activation) campaign.CouponState {
	if p.State == campaign.CouponGranted && !p.Until.IsZero() {
		over := a.facts.Now.After(p.Until) // a coupon is good at its last moment
		if kind == campaign.RewardBenefit {
			over = !a.facts.Now.Before(p.Until)
		}
		if over {
			return campaign.CouponExpired
		}
	}
	return p.State
}

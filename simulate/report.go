package simulate

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// Report is what a rehearsal came to. Amounts of money are whole numbers of the
// currency's minor unit; days count from the start, 24 hours each.
type Report struct {
	Campaign   string            `json:"campaign"`
	Title      string            `json:"title"`
	Population string            `json:"population"`
	Derived    bool              `json:"derived,omitempty"` // the population was made up from the campaign
	Seed       uint64            `json:"seed"`
	Members    int64             `json:"members"`
	From       time.Time         `json:"from"`
	Until      time.Time         `json:"until"`
	Currency   campaign.Currency `json:"currency"`
	Events     int64             `json:"events"`
	Turns      int64             `json:"turns"`

	Journeys []JourneyReport `json:"journeys"`
	Messages []MessageReport `json:"messages"`
	// PerMember is over all members, those who got none too.
	PerMember  Spread         `json:"messages_per_member"`
	BusiestDay Spread         `json:"messages_on_busiest_day"`
	Offers     []OfferReport  `json:"offers"`
	Rewards    []RewardReport `json:"rewards"`
	Points     *PointsReport  `json:"points,omitempty"`
	Revenue    RevenueReport  `json:"revenue"`
	Reviews    []Count        `json:"reviews,omitempty"`
	Late       int64          `json:"late_events"`
	Faults     []Count        `json:"faults,omitempty"` // expressions that could not be worked out
	Days       []DayReport    `json:"days"`
}

// Count is how often something happened.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// JourneyReport is a journey's funnel, of those who were not held out.
type JourneyReport struct {
	Journey   string          `json:"journey"`
	Entered   int64           `json:"entered"`
	Converted int64           `json:"converted"`
	Value     int64           `json:"value_minor"` // of the goals
	Active    int64           `json:"under_way"`
	HasGoal   bool            `json:"has_goal"`
	Steps     []StepReport    `json:"steps"`
	Outcomes  []Count         `json:"outcomes"`
	Segments  []SegmentReport `json:"segments,omitempty"`
	Holdout   *HoldoutReport  `json:"holdout,omitempty"`
}

// StepReport is one step of a funnel.
type StepReport struct {
	ID       string            `json:"id"`
	Kind     campaign.StepKind `json:"kind"`
	Name     string            `json:"name"`
	Block    string            `json:"block,omitempty"` // the branch that the step begins
	Depth    int               `json:"depth"`
	Reached  int64             `json:"reached"` // entries that came here
	Visits   int64             `json:"visits"`
	Waiting  int64             `json:"waiting"`   // stand here at the end
	Happened int64             `json:"happened"`  // what an await waited for, or the team of a team step; the answer or the decision that was asked for
	TimedOut int64             `json:"timed_out"` // or not in time
}

// SegmentReport is the conversion of those who were in a segment when they entered.
type SegmentReport struct {
	Segment   string `json:"segment"`
	Entered   int64  `json:"entered"`
	Converted int64  `json:"converted"`
}

// HoldoutReport is what became of those who were held out.
type HoldoutReport struct {
	Entered   int64 `json:"entered"`
	Converted int64 `json:"converted"`
}

// MessageReport is what became of a message.
type MessageReport struct {
	Message string `json:"message"`
	Kind    string `json:"kind"`
	Sent    int64  `json:"sent"`
	// Quiet and Capped are how often it was put off by quiet hours and by a cap.
	Quiet   int64   `json:"put_off_by_quiet_hours"`
	Capped  int64   `json:"put_off_by_cap"`
	NotSent []Count `json:"not_sent,omitempty"` // by reason
}

// Spread says how something is spread over members.
type Spread struct {
	Sum     int64   `json:"sum"`
	Mean    float64 `json:"mean"`
	Median  int     `json:"median"`
	P99     int     `json:"p99"`
	Max     int     `json:"max"`
	Members []int64 `json:"members"` // members by number
}

// OfferReport is what became of an offer.
type OfferReport struct {
	Offer     string `json:"offer"`
	Title     string `json:"title"`
	Opened    int64  `json:"opened"`
	Taken     int64  `json:"taken"`
	Lapsed    int64  `json:"lapsed"`
	Withdrawn int64  `json:"withdrawn"`
	Open      int64  `json:"open"`              // at the end
	Skipped   int64  `json:"skipped,omitempty"` // taken as often as a member may before
	Refused   int64  `json:"refused,omitempty"` // paid and not taken
	Revenue   int64  `json:"revenue_minor"`
	Stock     int    `json:"stock,omitempty"`
	// RunsOut is when the last piece was taken.
	RunsOut time.Time `json:"runs_out,omitzero"`
}

// RewardReport is what became of a reward.
type RewardReport struct {
	Reward  string    `json:"reward"`
	Gives   string    `json:"gives,omitempty"` // coupon or benefit; empty: points
	Granted int64     `json:"granted"`
	Points  int64     `json:"points"`
	Refused []Count   `json:"refused,omitempty"`  // by reason
	Budget  int64     `json:"budget,omitempty"`   // in points or pieces
	PauseAt int64     `json:"pause_at,omitempty"` // of Budget, what a rehearsal leaves, since nobody resumes the reward
	RunsOut time.Time `json:"runs_out,omitzero"`  // when the last grant was given that the budget allows
	PerDay  int64     `json:"budget_per_day,omitempty"`
	// DaysRunOut is on how many days the day's budget was used up.
	DaysRunOut int `json:"days_run_out,omitempty"`

	used int64 // of the budget
}

// budget says how far the budget reached; there is one.
func (w *RewardReport) budget(r *Report) string {
	if w.PauseAt > 0 {
		return r.runs("budget until it pauses", w.Budget-w.PauseAt, w.used, w.RunsOut)
	}
	return r.runs("budget", w.Budget, w.used, w.RunsOut)
}

// RevenueReport is what members paid, in minor units.
type RevenueReport struct {
	Orders   int64 `json:"orders"`
	Paid     int64 `json:"paid_minor"`
	Refunded int64 `json:"refunded_minor"`
	Refunds  int64 `json:"refunds"`
	// Entrants are members who entered a journey, without those held out; ARPU is what one
	// of them paid on average, refunds taken off.
	Entrants int64 `json:"entrants"`
	ARPU     int64 `json:"arpu_minor"`
	// HeldOut are those of whom some journey was held out, where there are any.
	HeldOut     int64 `json:"held_out,omitempty"`
	HeldOutARPU int64 `json:"held_out_arpu_minor,omitempty"`
}

// DayReport is one day.
type DayReport struct {
	Day       int     `json:"day"` // from 1
	Date      string  `json:"date"`
	Entered   int64   `json:"entered"`
	Messages  int64   `json:"messages"`
	Converted int64   `json:"converted"`
	Paid      int64   `json:"paid_minor"`
	Refunded  int64   `json:"refunded_minor"`
	Taken     []int64 `json:"offers_taken"`  // as offers
	Points    []int64 `json:"points_so_far"` // as rewards; of those that give pieces, these
}

// Rehearse takes all members through a campaign and reports.
func Rehearse(ctx context.Context, cfg Config) (*Report, error) {
	out, err := run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	def := cfg.Plan.def
	r := &Report{
		Campaign: def.Name, Title: def.Title, Members: out.members, From: cfg.From, Until: cfg.From.Add(cfg.Span), Currency: def.Currency,
		Events: out.events, Turns: out.turns, Late: out.late, Reviews: counts(out.reviews), Faults: counts(out.faults),
		PerMember: spread(out.perMember), BusiestDay: spread(out.busiest),
	}
	if c, ok := cfg.People.(*crowd); ok {
		r.Population, r.Derived, r.Seed = c.pop.Name, c.pop.Derived, c.seed
	}
	for i := range def.Journeys {
		r.Journeys = append(r.Journeys, journeyReport(cfg.Plan, &def.Journeys[i], &out.journeys[i]))
	}
	for i := range def.Messages {
		m := &out.messages[i]
		r.Messages = append(r.Messages, MessageReport{def.Messages[i].Name, string(def.Messages[i].Kind), m.sent, m.quiet, m.capped, counts(m.not)})
	}
	for i := range def.Offers {
		o, t := &def.Offers[i], &out.offers[i]
		line := OfferReport{
			Offer: o.Name, Title: o.Title, Opened: t.opened, Taken: t.taken, Lapsed: t.lapsed, Withdrawn: t.withdrawn,
			Open: t.opened - t.taken - t.lapsed - t.withdrawn, Skipped: t.skipped, Refused: t.refused, Revenue: t.revenue, Stock: o.Stock,
		}
		if k := cfg.Plan.limitOf(o.Name, ""); k >= 0 && out.cuts[k] != never {
			line.RunsOut = out.cuts[k].time().In(cfg.Plan.loc)
		}
		r.Offers = append(r.Offers, line)
	}
	for i := range def.Rewards {
		w, t := &def.Rewards[i], &out.rewards[i]
		line := RewardReport{Reward: w.Name, Granted: t.granted, Refused: counts(t.not), Budget: w.Budget, PauseAt: w.PauseAt, used: t.worth}
		if kind := w.Gift().Kind(); kind.InPoints() {
			line.Points = t.worth
		} else {
			line.Gives = string(kind)
		}
		if k := cfg.Plan.limitOf("", w.Name); k >= 0 && out.cuts[k] != never {
			line.RunsOut = out.cuts[k].time().In(cfg.Plan.loc)
		}
		if k := cfg.Plan.limitOn(0, w.Name); k >= 0 {
			line.PerDay = w.BudgetPerDay
			for ; k < len(out.cuts); k += len(cfg.Plan.daily) {
				if out.cuts[k] != never {
					line.DaysRunOut++
				}
			}
		}
		r.Rewards = append(r.Rewards, line)
	}
	r.Points = pointsReport(def.Points, out.tally)
	r.Revenue = RevenueReport{
		Orders: out.orders, Paid: out.revenue, Refunded: out.refunds, Refunds: out.refunded,
		Entrants: out.arms[0].members, ARPU: per(out.arms[0].revenue-out.arms[0].refunds, out.arms[0].members),
		HeldOut: out.arms[1].members, HeldOutARPU: per(out.arms[1].revenue-out.arms[1].refunds, out.arms[1].members),
	}
	r.days(cfg, out)
	return r, nil
}

func (r *Report) days(cfg Config, out *outcome) {
	points := make([]int64, len(out.rewards))
	for i := range out.days {
		d := &out.days[i]
		for k := range points {
			points[k] += d.worth[k]
		}
		r.Days = append(r.Days, DayReport{
			i + 1, cfg.From.Add(time.Duration(i) * 24 * time.Hour).In(cfg.Plan.loc).Format(time.DateOnly),
			d.entered, d.messages, d.converted, d.revenue, d.refunds, d.taken, slices.Clone(points),
		})
	}
}

func journeyReport(p *Plan, j *campaign.Journey, t *journeyTally) JourneyReport {
	r := JourneyReport{
		Journey: j.Name, Entered: t.entered, Converted: t.converted, Value: t.value, Active: t.active, HasGoal: j.Goal != nil,
		Outcomes: counts(t.outcomes),
	}
	for i, s := range p.journeys[j.Name].order {
		id, st := s.Common().ID, &t.steps[i]
		line := StepReport{
			ID: id, Kind: s.Kind(), Name: campaign.StepName(s), Depth: depth(id), Reached: st.reached, Visits: st.visits, Waiting: st.waiting,
			Happened: st.happened, TimedOut: st.timedOut,
		}
		if rest, first := strings.CutSuffix(id, ".1"); first {
			line.Block = rest[strings.LastIndex(rest, ".")+1:]
		}
		r.Steps = append(r.Steps, line)
	}
	for i := range p.def.Segments {
		if s := t.segments[i]; s.entered > 0 {
			r.Segments = append(r.Segments, SegmentReport{p.def.Segments[i].Name, s.entered, s.converted})
		}
	}
	if j.Holdout > 0 {
		r.Holdout = &HoldoutReport{t.heldOut, t.heldConverted}
	}
	return r
}

func counts(m map[string]int64) []Count {
	var list []Count
	for name, n := range m {
		if n != 0 {
			list = append(list, Count{name, n})
		}
	}
	slices.SortFunc(list, func(a, b Count) int {
		if a.Count != b.Count {
			return int(min(max(b.Count-a.Count, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

// spread reads a histogram of members.
func spread(hist []int64) Spread {
	for len(hist) > 1 && hist[len(hist)-1] == 0 {
		hist = hist[:len(hist)-1]
	}
	s := Spread{Members: slices.Clone(hist), Max: max(len(hist)-1, 0)}
	var members int64
	for n, m := range hist {
		members += m
		s.Sum += int64(n) * m
	}
	if members == 0 {
		return s
	}
	s.Mean = float64(s.Sum*100/members) / 100
	rank := func(share int64) int {
		need, seen := (members*share+99)/100, int64(0)
		for n, m := range hist {
			if seen += m; seen >= need {
				return n
			}
		}
		return s.Max
	}
	s.Median, s.P99 = rank(50), rank(99)
	return s
}

func per(sum, n int64) int64 {
	if n == 0 {
		return 0
	}
	return sum / n
}

// DefaultFrom is when a rehearsal starts unless it is told: at the beginning of the
// campaign's window, or of a day in its timezone.
func (p *Plan) DefaultFrom(today time.Time) time.Time {
	day := today.In(p.loc)
	if w := p.def.Window; w != nil && !w.From.IsZero() {
		return w.From.In(p.loc)
	}
	return time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, p.loc)
}

// DefaultSpan is how long a rehearsal takes unless it is told: as long as the window, but
// not more than 180 days.
func (p *Plan) DefaultSpan(from time.Time) time.Duration {
	const most = 180 * 24 * time.Hour
	if w := p.def.Window; w != nil && !w.Until.IsZero() && w.Until.After(from) {
		return min(w.Until.Sub(from), most)
	}
	return 90 * 24 * time.Hour
}

// Location is the campaign's timezone.
func (p *Plan) Location() *time.Location { return p.loc }

// Fits checks that what a population speaks of is there in another version too.
func Fits(pop *definitions.Population, def *campaign.Definition) error {
	for i := range pop.Behaviour {
		r := &pop.Behaviour[i]
		for _, s := range r.Segments {
			if _, ok := def.Segment(s.Segment); !ok {
				return campaign.Errorf(campaign.CodeInvalid, "the population speaks of segment %q, which the other version has not", s.Segment)
			}
		}
		if r.Enter != "" {
			if _, ok := def.Journey(r.Enter); !ok {
				return campaign.Errorf(campaign.CodeInvalid, "the population enters journey %q, which the other version has not", r.Enter)
			}
		}
	}
	return nil
}

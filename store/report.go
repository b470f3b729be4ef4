package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// Report is what a campaign did, as of one moment. Counts are by version: while two
// are in flight, both are there.
type Report struct {
	Campaign string          `json:"campaign"`
	Title    string          `json:"title"`
	State    State           `json:"state" enum:"draft,running,paused,draining,ended"`
	Version  int             `json:"version" doc:"The version that new entrants take"`
	Currency string          `json:"currency"`
	Timezone string          `json:"timezone"`
	Now      time.Time       `json:"now" doc:"On the campaign's clock"`
	Journeys []JourneyReport `json:"journeys"`
	Messages []MessageReport `json:"messages"`
	NotSent  []NotSentReport `json:"not_sent" doc:"Messages that were decided not to be sent, and why"`
	Calls    []CallReport    `json:"calls,omitempty" doc:"Services that were called, and what became of it"`
	Offers   []OfferReport   `json:"offers"`
	Teams    []TeamReport    `json:"teams,omitempty" doc:"Teams that came together, or did not: of buyers by offer, others by step"`
	Refunds  []RefundReport  `json:"refunds,omitempty" doc:"Orders that the shop was asked to pay back, because their team was not complete"`
	Stock    []StockReport   `json:"stock" doc:"Offers with a limit, all versions together"`
	Rewards  []RewardReport  `json:"rewards"`
	Budgets  []BudgetReport  `json:"budgets" doc:"Rewards with a limit, all versions together"`
	Coupons  []CouponReport  `json:"coupons,omitempty" doc:"Rewards that give coupons, all versions together"`
	Benefits []BenefitReport `json:"benefits,omitempty" doc:"Rewards that give a benefit, all versions together"`
	Points   *PointsReport   `json:"points,omitempty" doc:"What the rules of points gave; absent for a campaign that has none and gives nothing with an end"`
	Late     []LateReport    `json:"late" doc:"Events that were in time and arrived too late"`
	Reviews  []ReviewReport  `json:"reviews" doc:"What people are asked to decide, by kind and state"`
}

// JourneyReport is one journey in one version.
type JourneyReport struct {
	Journey  string          `json:"journey"`
	Version  int             `json:"version"`
	Entered  int64           `json:"entered"`
	HeldOut  int64           `json:"held_out"`
	Active   int64           `json:"active"`
	Moved    int64           `json:"moved,omitempty" doc:"Members who were on this version, and were brought to another; they count as entered there"`
	Outcomes []OutcomeReport `json:"outcomes"`
	Steps    []StepReport    `json:"steps" doc:"In the order of the definition"`
	Goal     *GoalReport     `json:"goal,omitempty" doc:"Absent for a journey without a goal"`
	Splits   []SplitReport   `json:"splits,omitempty" doc:"In the order of the definition; absent for a journey without a split"`
}

// OutcomeReport is how many journeys ended so.
type OutcomeReport struct {
	Outcome string `json:"outcome"`
	Members int64  `json:"members"`
}

// StepReport is how many members came to a step.
type StepReport struct {
	Step    string `json:"step"`
	Name    string `json:"name"`
	Reached int64  `json:"reached"`
}

// GoalReport is how many converted, and what the campaign had to do with it.
type GoalReport struct {
	Converted Rate    `json:"converted" doc:"Of those who were not held out"`
	Value     Amount  `json:"value"`
	Net       *Net    `json:"net,omitempty" doc:"The same without what was refunded; absent where nothing was"`
	HeldOut   *Rate   `json:"held_out,omitempty" doc:"Of the holdout group, where there is one"`
	Uplift    *Uplift `json:"uplift,omitempty" doc:"The difference between the two"`
}

// Net is what is left of a goal after refunds.
type Net struct {
	Converted Rate   `json:"converted" doc:"Without those whose payment went back as a whole"`
	Value     Amount `json:"value"`
	Reversed  int64  `json:"reversed" doc:"Whose payment went back as a whole"`
	Refunded  Amount `json:"refunded" doc:"What went back, in whole and in part"`
}

// MessageReport counts a message by channel and what became of it.
type MessageReport struct {
	Version  int    `json:"version"`
	Message  string `json:"message"`
	Channel  string `json:"channel"`
	State    string `json:"state" enum:"claimed,sent,refused,failed,dropped,unknown"`
	Messages int64  `json:"messages"`
}

// CallReport counts the calls of a service by what became of them.
type CallReport struct {
	Version int    `json:"version"`
	Call    string `json:"call" doc:"What the answer is saved as, or the host"`
	State   string `json:"state" enum:"claimed,sent,refused,failed,dropped,unknown" doc:"sent: the service answered; unknown: it is being called"`
	Reason  string `json:"reason,omitempty"`
	Calls   int64  `json:"calls"`
}

// NotSentReport counts a message that was not sent, by reason.
type NotSentReport struct {
	Version int    `json:"version"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Times   int64  `json:"times"`
}

// OfferReport counts an offer's ends.
type OfferReport struct {
	Version   int    `json:"version"`
	Offer     string `json:"offer"`
	Opened    int64  `json:"opened"`
	Taken     int64  `json:"taken"`
	Lapsed    int64  `json:"lapsed"`
	Withdrawn int64  `json:"withdrawn"`
	Open      int64  `json:"open"`
	Paid      Amount `json:"paid" doc:"By the orders that took it"`
	Refunded  int64  `json:"refunded,omitempty" doc:"Of taken, those whose order went back as a whole"`
}

// TeamReport counts the teams of an offer, or of a step.
type TeamReport struct {
	Version   int    `json:"version" doc:"The version on which they were opened"`
	Offer     string `json:"offer,omitempty" doc:"That their members buy together"`
	Journey   string `json:"journey,omitempty"`
	Step      string `json:"step,omitempty" doc:"Its label or, without one, its id"`
	Opened    int64  `json:"opened"`
	Formed    int64  `json:"formed"`
	Failed    int64  `json:"failed"`
	Withdrawn int64  `json:"withdrawn" doc:"Everybody had left them"`
	Open      int64  `json:"open"`
}

// RefundReport counts the orders of an offer that the shop was asked to pay back.
type RefundReport struct {
	Version         int                   `json:"version"`
	Offer           string                `json:"offer"`
	Reason          campaign.RefundReason `json:"reason" enum:"team_failed,left_journey,migrated"`
	Asked           int64                 `json:"asked" doc:"All of them"`
	Amount          Amount                `json:"amount" doc:"Of all of them"`
	Accepted        int64                 `json:"accepted" doc:"The shop has taken the request, and not told yet that the money is back"`
	Confirmed       int64                 `json:"confirmed" doc:"The shop has told that the money is back"`
	ConfirmedAmount Amount                `json:"confirmed_amount"`
	Refused         int64                 `json:"refused" doc:"The shop will not, or could not be asked: a person must look"`
	Unknown         int64                 `json:"unknown" doc:"Nobody knows whether the shop has taken the request: a person must look"`
	Waiting         int64                 `json:"waiting" doc:"The request is on its way"`
}

// StockReport is what is left of an offer.
type StockReport struct {
	Offer string `json:"offer"`
	Stock int64  `json:"stock"`
	Taken int64  `json:"taken"`
	Left  int64  `json:"left"`
	Held  int64  `json:"held,omitempty" doc:"For orders that have reserved it; not among those left"`
}

// RewardReport counts a reward's grants.
type RewardReport struct {
	Version          int    `json:"version"`
	Reward           string `json:"reward"`
	Granted          int64  `json:"granted"`
	Points           int64  `json:"points"`
	Refused          int64  `json:"refused"`
	RefusedBudget    int64  `json:"refused_budget" doc:"Because the budget was used up"`
	RefusedPaused    int64  `json:"refused_paused,omitempty" doc:"Because the reward had paused"`
	RefusedPerDay    int64  `json:"refused_per_day" doc:"Because the day's budget was used up"`
	RefusedPerMember int64  `json:"refused_per_member" doc:"Because of the limit per member"`
	RefusedPool      int64  `json:"refused_pool,omitempty" doc:"Because no code was left"`
	RefusedHeld      int64  `json:"refused_held,omitempty" doc:"Because she had one that was not used yet"`
	ClawedBack       int64  `json:"clawed_back,omitempty" doc:"Points that were taken back after refunds"`
	Owed             int64  `json:"owed,omitempty" doc:"Points that were asked back after refunds and not there any more"`
}

// CouponReport is what became of a reward's coupons, and what is left of its pool.
type CouponReport struct {
	Reward   string      `json:"reward"`
	Open     int64       `json:"open" doc:"Granted, and neither used nor over"`
	Redeemed int64       `json:"redeemed"`
	Expired  int64       `json:"expired" doc:"Those that went back to their pool too"`
	Voided   int64       `json:"voided" doc:"What they were granted for was taken back"`
	Pool     *PoolReport `json:"pool,omitempty" doc:"Absent where codes are generated"`
}

// PoolReport is what is left of imported codes.
type PoolReport struct {
	Imported int64 `json:"imported"`
	Left     int64 `json:"left"`
	LowWater int64 `json:"low_water" doc:"At or below this the pool runs low"`
	Low      bool  `json:"low" doc:"It runs low: import more codes"`
}

// poolOf says how a pool stands. Without a low water of its own it is a tenth.
func poolOf(imported, left, low int64) PoolReport {
	if low == 0 {
		low = imported / 10
	}
	return PoolReport{Imported: imported, Left: left, LowWater: low, Low: left <= low}
}

// BenefitReport is who has a benefit because of a reward.
type BenefitReport struct {
	Reward  string `json:"reward"`
	Benefit string `json:"benefit"`
	Granted int64  `json:"granted"`
	Revoked int64  `json:"revoked"`
	Members int64  `json:"members" doc:"Who have it now because of this reward"`
}

// BudgetReport is what is left of a reward's budget, in points or pieces.
type BudgetReport struct {
	Reward    string `json:"reward"`
	Budget    int64  `json:"budget,omitempty" doc:"In all; left out where only a day is limited, and used and left with it"`
	Used      int64  `json:"used,omitempty"`
	Left      int64  `json:"left,omitempty" doc:"What is kept back too"`
	KeptBack  int64  `json:"kept_back,omitempty" doc:"Of left, what is given only after somebody has resumed the reward"`
	PerDay    int64  `json:"per_day,omitempty" doc:"What each day may give; left out where it is not limited"`
	LeftToday *int64 `json:"left_today,omitempty" doc:"What is left of today, on the campaign's calendar"`
}

// PointsReport is what a campaign's rules of points gave, all versions together.
type PointsReport struct {
	Rules   []PointRuleReport `json:"rules"`
	Levels  []LevelReport     `json:"levels,omitempty" doc:"In the order of the definition"`
	Expired int64             `json:"expired" doc:"Points of the campaign, of rewards too, that passed their end unspent"`
}

// PointRuleReport is what one rule gave, in points but for gains and undecided.
type PointRuleReport struct {
	Rule             string `json:"rule"`
	Gains            int64  `json:"gains" doc:"How many events gave something"`
	Points           int64  `json:"points"`
	RefusedPerDay    int64  `json:"refused_per_day" doc:"What the cap of a day left out"`
	RefusedPerMember int64  `json:"refused_per_member" doc:"What the limit per member left out"`
	Undecided        int64  `json:"undecided,omitempty" doc:"Events for which an expression had no value"`
	Reversed         int64  `json:"reversed" doc:"What was taken back"`
	Short            int64  `json:"short,omitempty" doc:"What should have been taken back and was spent or has expired"`
	Expired          int64  `json:"expired"`
}

// LevelReport counts the members of a level.
type LevelReport struct {
	Level   string `json:"level"`
	Members int64  `json:"members"`
}

// LateReport counts events that came too late.
type LateReport struct {
	Version int   `json:"version"`
	Events  int64 `json:"events"`
}

// ReviewReport counts reviews.
type ReviewReport struct {
	Version int    `json:"version"`
	Kind    string `json:"kind"`
	State   string `json:"state" enum:"open,approved,rejected,withdrawn"`
	Reviews int64  `json:"reviews"`
}

// reporter builds a report from one snapshot.
type reporter struct {
	q           *db.Queries
	name        string
	definitions map[int32]*campaign.Definition
	r           *Report
}

// Report reads what a campaign did.
func (s *Store) Report(ctx context.Context, name string) (*Report, error) {
	var report *Report
	err := s.inSnapshot(ctx, func(tx pgx.Tx, q *db.Queries) error {
		c, err := q.GetCampaign(ctx, name)
		if err != nil {
			return found(err, "campaign", name)
		}
		var now time.Time
		if err := tx.QueryRow(ctx, "select clock_timestamp()").Scan(&now); err != nil {
			return err
		}
		report = &Report{
			Campaign: name, State: State(c.State), Version: int(c.Version), Now: clockOf(c).At(now),
			Journeys: []JourneyReport{}, Messages: []MessageReport{}, NotSent: []NotSentReport{}, Offers: []OfferReport{},
			Stock: []StockReport{}, Rewards: []RewardReport{}, Budgets: []BudgetReport{}, Late: []LateReport{}, Reviews: []ReviewReport{},
		}
		b := &reporter{q: q, name: name, definitions: make(map[int32]*campaign.Definition), r: report}
		for _, part := range []func(context.Context) error{
			b.readDefinitions, b.journeys, b.splits, b.messages, b.offers, b.rewards, b.points, b.trouble,
		} {
			if err := part(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return report, translate(err, "read the report")
}

func (b *reporter) readDefinitions(ctx context.Context) error {
	rows, err := b.q.ReportDefinitions(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range rows {
		def, err := decodeDefinition(row.Definition)
		if err != nil {
			return err
		}
		b.definitions[row.Version] = def
		if int(row.Version) == b.r.Version {
			b.r.Title, b.r.Currency, b.r.Timezone = def.Title, string(def.Currency), def.Timezone
		}
	}
	return nil
}

func (b *reporter) amount(minor int64) Amount {
	return AmountOf(campaign.Money{Minor: minor, Currency: campaign.Currency(b.r.Currency)})
}

type journeyVersion struct {
	journey string
	version int32
}

func (b *reporter) journeys(ctx context.Context) error {
	rows, err := b.q.ReportJourneys(ctx, b.name)
	if err != nil {
		return err
	}
	at := make(map[journeyVersion]int)
	for _, row := range rows {
		at[journeyVersion{row.Journey, row.Version}] = len(b.r.Journeys)
		b.r.Journeys = append(b.r.Journeys, JourneyReport{
			Journey: row.Journey, Version: int(row.Version), Entered: row.Entered, HeldOut: row.HeldOut, Active: row.Active,
			Outcomes: []OutcomeReport{}, Goal: b.goal(row),
		})
	}
	moved, err := b.q.ReportMoved(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range moved {
		key := journeyVersion{row.Journey, row.Version}
		i, ok := at[key]
		if !ok {
			i = len(b.r.Journeys)
			at[key] = i
			b.r.Journeys = append(b.r.Journeys, JourneyReport{Journey: row.Journey, Version: int(row.Version), Outcomes: []OutcomeReport{}})
		}
		b.r.Journeys[i].Moved = row.Members
	}
	outcomes, err := b.q.ReportOutcomes(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range outcomes {
		j := &b.r.Journeys[at[journeyVersion{row.Journey, row.Version}]]
		j.Outcomes = append(j.Outcomes, OutcomeReport{row.Outcome, row.Members})
	}
	reached, err := b.q.ReportSteps(ctx, b.name)
	if err != nil {
		return err
	}
	counts := make(map[journeyVersion]map[string]int64)
	for _, row := range reached {
		key := journeyVersion{row.Journey, row.Version}
		if counts[key] == nil {
			counts[key] = make(map[string]int64)
		}
		counts[key][row.Step] = row.Reached
	}
	for key, i := range at {
		b.r.Journeys[i].Steps = b.steps(key, counts[key])
	}
	slices.SortFunc(b.r.Journeys, func(x, y JourneyReport) int {
		return cmp.Or(cmp.Compare(x.Journey, y.Journey), cmp.Compare(x.Version, y.Version))
	})
	return nil
}

// steps lists every step in the order of the definition, those nobody reached too.
func (b *reporter) steps(key journeyVersion, reached map[string]int64) []StepReport {
	out := []StepReport{}
	def, ok := b.definitions[key.version]
	if !ok {
		return out
	}
	j, ok := def.Journey(key.journey)
	if !ok {
		return out
	}
	var walk func(campaign.Steps)
	walk = func(steps campaign.Steps) {
		for _, st := range steps {
			id := st.Common().ID
			out = append(out, StepReport{id, campaign.StepName(st), reached[id]})
			for _, block := range campaign.Children(st) {
				walk(block.Steps)
			}
		}
	}
	walk(j.Steps)
	return out
}

func (b *reporter) goal(row db.ReportJourneysRow) *GoalReport {
	def, ok := b.definitions[row.Version]
	if !ok {
		return nil
	}
	if j, ok := def.Journey(row.Journey); !ok || j.Goal == nil {
		return nil
	}
	g := &GoalReport{Converted: rate(row.Converted, row.Entered-row.HeldOut), Value: b.amount(row.Value)}
	if row.Reversed > 0 || row.Refunded > 0 {
		g.Net = &Net{
			Converted: rate(row.Converted-row.Reversed, row.Entered-row.HeldOut), Value: b.amount(row.Value - row.Refunded),
			Reversed: row.Reversed, Refunded: b.amount(row.Refunded),
		}
	}
	if row.HeldOut > 0 {
		held := rate(row.ConvertedHeldOut, row.HeldOut)
		g.HeldOut, g.Uplift = &held, uplift(g.Converted, held)
	}
	return g
}

func (b *reporter) messages(ctx context.Context) error {
	rows, err := b.q.ReportMessages(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range rows {
		b.r.Messages = append(b.r.Messages, MessageReport{int(row.Version), row.Name, row.Channel, row.State, row.Messages})
	}
	calls, err := b.q.ReportCalls(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range calls {
		b.r.Calls = append(b.r.Calls, CallReport{int(row.Version), row.Name, row.State, row.Reason, row.Calls})
	}
	reasons, err := b.q.ReportNotSent(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range reasons {
		b.r.NotSent = append(b.r.NotSent, NotSentReport{int(row.Version), row.Message, row.Reason, row.Times})
	}
	return nil
}

func (b *reporter) offers(ctx context.Context) error {
	rows, err := b.q.ReportOffers(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range rows {
		b.r.Offers = append(b.r.Offers, OfferReport{
			int(row.Version), row.Offer, row.Opened, row.Taken, row.Lapsed, row.Withdrawn, row.Open, b.amount(row.Paid), row.Refunded,
		})
	}
	teams, err := b.q.ReportTeams(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range teams {
		b.r.Teams = append(b.r.Teams, TeamReport{
			int(row.Version), row.Offer, row.Journey, row.Step, row.Opened, row.Formed, row.Failed, row.Withdrawn, row.Open,
		})
	}
	refunds, err := b.q.ReportRefunds(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range refunds {
		currency := campaign.Currency(row.Currency)
		b.r.Refunds = append(b.r.Refunds, RefundReport{
			Version: int(row.Version), Offer: row.Offer, Reason: campaign.RefundReason(row.Reason), Asked: row.Asked,
			Amount:   AmountOf(campaign.Money{Minor: row.Amount, Currency: currency}),
			Accepted: row.Accepted, Confirmed: row.Confirmed, ConfirmedAmount: AmountOf(campaign.Money{Minor: row.ConfirmedAmount, Currency: currency}),
			Refused: row.Refused, Unknown: row.Unknown, Waiting: row.Asked - row.Accepted - row.Confirmed - row.Refused - row.Unknown,
		})
	}
	stock, err := b.q.ReportStock(ctx, b.name)
	if err != nil {
		return err
	}
	held, err := b.q.ReportHeld(ctx, b.name, b.r.Now)
	if err != nil {
		return err
	}
	for _, row := range stock {
		line := StockReport{Offer: row.Offer, Stock: int64(row.Stock), Taken: int64(row.Taken)}
		for _, h := range held {
			if h.Name == row.Offer {
				line.Held = h.Held
			}
		}
		line.Left = max(0, line.Stock-line.Taken-line.Held)
		b.r.Stock = append(b.r.Stock, line)
	}
	return nil
}

func (b *reporter) rewards(ctx context.Context) error {
	rows, err := b.q.ReportRewards(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range rows {
		b.r.Rewards = append(b.r.Rewards, RewardReport{
			Version: int(row.Version), Reward: row.Reward, Granted: row.Granted, Points: row.Points, Refused: row.Refused,
			RefusedBudget: row.RefusedBudget, RefusedPaused: row.RefusedPaused, RefusedPerDay: row.RefusedPerDay, RefusedPerMember: row.RefusedPerMember,
			RefusedPool: row.RefusedPool, RefusedHeld: row.RefusedHeld,
		})
	}
	clawed, err := b.q.ReportClawbacks(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range clawed {
		for i := range b.r.Rewards {
			if w := &b.r.Rewards[i]; w.Version == int(row.Version) && w.Reward == row.Reward {
				w.ClawedBack, w.Owed = row.Points, row.Owed
			}
		}
	}
	budgets, err := b.q.ReportBudgets(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range budgets {
		line := BudgetReport{Reward: row.Reward, Budget: row.Cap, Used: row.Used, Left: row.Available + row.Kept, KeptBack: row.Kept, PerDay: row.PerDay}
		if row.PerDay > 0 {
			line.LeftToday = &row.AvailableToday
		}
		b.r.Budgets = append(b.r.Budgets, line)
	}
	return b.pieces(ctx)
}

// pieces tells of coupons and benefits. A pool of which nothing was granted is told of too.
func (b *reporter) pieces(ctx context.Context) error {
	rows, err := b.q.ReportCoupons(ctx, b.name)
	if err != nil {
		return err
	}
	at := map[string]int{}
	for _, row := range rows {
		at[row.Reward] = len(b.r.Coupons)
		b.r.Coupons = append(b.r.Coupons, CouponReport{Reward: row.Reward, Open: row.Open, Redeemed: row.Redeemed, Expired: row.Expired, Voided: row.Voided})
	}
	pools, err := b.q.ReportPools(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range pools {
		i, ok := at[row.Reward]
		if !ok {
			i = len(b.r.Coupons)
			b.r.Coupons = append(b.r.Coupons, CouponReport{Reward: row.Reward})
		}
		pool := poolOf(row.Imported, row.Available, row.LowWater)
		b.r.Coupons[i].Pool, b.r.Coupons[i].Expired = &pool, row.Expired
	}
	slices.SortFunc(b.r.Coupons, func(x, y CouponReport) int { return cmp.Compare(x.Reward, y.Reward) })
	benefits, err := b.q.ReportBenefits(ctx, b.r.Now, b.name)
	if err != nil {
		return err
	}
	for _, row := range benefits {
		b.r.Benefits = append(b.r.Benefits, BenefitReport(row))
	}
	return nil
}

func (b *reporter) points(ctx context.Context) error {
	rows, err := b.q.ReportPoints(ctx, b.name)
	if err != nil {
		return err
	}
	r := &PointsReport{Rules: []PointRuleReport{}}
	for _, row := range rows {
		r.Rules = append(r.Rules, PointRuleReport{
			row.Rule, row.Gains, row.Points, row.RefusedPerDay, row.RefusedPerMember, row.Undecided, row.Reversed, row.Short, row.Expired,
		})
	}
	levels, err := b.q.ReportLevels(ctx, b.name)
	if err != nil {
		return err
	}
	def := b.definitions[int32(b.r.Version)]
	has := def != nil && def.Points != nil
	if has {
		for _, l := range def.Points.Levels {
			line := LevelReport{Level: l.Name}
			for _, row := range levels {
				if row.Level == l.Name {
					line.Members = row.Members
				}
			}
			r.Levels = append(r.Levels, line)
		}
	}
	if r.Expired, err = b.q.ReportExpired(ctx, b.name); err != nil {
		return err
	}
	if has || len(r.Rules) > 0 || r.Expired > 0 {
		b.r.Points = r
	}
	return nil
}

func (b *reporter) trouble(ctx context.Context) error {
	late, err := b.q.ReportLate(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range late {
		b.r.Late = append(b.r.Late, LateReport{int(row.Version), row.Times})
	}
	reviews, err := b.q.ReportReviews(ctx, b.name)
	if err != nil {
		return err
	}
	for _, row := range reviews {
		b.r.Reviews = append(b.r.Reviews, ReviewReport{int(row.Version), row.Kind, row.State, row.Reviews})
	}
	return nil
}

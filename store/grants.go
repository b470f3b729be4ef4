package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
)

// Question is what the core asks in one of the page's turns.
type Question struct {
	Of   *TurnTx
	Turn int
	Ask  *campaign.Ask
}

// Answer answers questions exactly, in their order, under the locks that it takes: teams,
// see LockTeams, that nobody changes limits, pieces of stock by the names of the offers, then
// budgets by their numbers. All that is asked at a time is locked in this order, after the
// members. A page asks in rounds, so two pages may still wait for each other's stock and
// budget; PostgreSQL breaks one off, and it is taken again.
func (p *PageTx) Answer(ctx context.Context, questions []Question) ([]campaign.Answer, error) {
	if err := p.others(questions); err != nil {
		return nil, err
	}
	answers := make([]campaign.Answer, len(questions))
	var stock, grants []int
	for i := range questions {
		switch ask := questions[i].Ask; {
		case ask.Stock() != "": // of buyers the rows of their teams are held already
			stock = append(stock, i)
		case ask.Team != nil:
			answer, err := questions[i].Of.team(ctx, ask)
			if err != nil {
				return nil, err
			}
			answers[i] = answer
		case ask.Vest != nil:
			answer, err := questions[i].Of.vest(ctx, ask.Vest)
			if err != nil {
				return nil, err
			}
			answers[i] = answer
		case ask.Grant != nil && ask.Grant.To != "" && !p.held[ask.Grant.To]:
			answers[i] = campaign.Answer{Reason: campaign.RefusedNoInviter}
		case ask.Grant != nil:
			grants = append(grants, i)
		case ask.ClawBack != nil: // of locked members alone
			answer, err := questions[i].Of.clawBack(ctx, ask.ClawBack)
			if err != nil {
				return nil, err
			}
			answers[i] = answer
		default:
			return nil, campaign.Errorf(campaign.CodeInternal, "the core asked nothing")
		}
	}
	if err := p.holdLimits(ctx, questions, stock); err != nil {
		return nil, err
	}
	slices.SortStableFunc(stock, func(a, b int) int { return cmp.Compare(questions[a].Ask.Stock(), questions[b].Ask.Stock()) })
	for _, i := range stock {
		var (
			answer campaign.Answer
			err    error
			of     = questions[i].Of
		)
		if ask := questions[i].Ask; ask.Take != nil {
			answer, err = of.take(ctx, ask.Take)
		} else {
			answer, err = of.team(ctx, ask)
		}
		if err != nil {
			return nil, err
		}
		answers[i] = answer
	}
	if err := p.grant(ctx, questions, grants, answers); err != nil {
		return nil, err
	}
	return answers, p.noteOrders(ctx, questions, grants, answers)
}

const holdLimitsSQL = `select pg_advisory_xact_lock_shared(budgets_lock(c)) from unnest($1::text[]) as c`

// holdLimits keeps the limits of campaigns as they are until the page is done. Who submits a
// version takes this lock and then the stock; so who takes stock and may grant later has to
// hold it as well. Who grants gets it in grant_rewards, or before he draws from a pool.
func (p *PageTx) holdLimits(ctx context.Context, questions []Question, stock []int) error {
	if len(stock) == 0 {
		return nil
	}
	campaigns := map[string]bool{}
	for _, i := range stock {
		campaigns[questions[i].Of.row.Campaign] = true
	}
	return p.holdLimitsOf(ctx, slices.Sorted(maps.Keys(campaigns))...)
}

func (p *PageTx) holdLimitsOf(ctx context.Context, campaigns ...string) error {
	_, err := p.conn.Exec(ctx, holdLimitsSQL, campaigns)
	return err
}

// grantSQL claims, checks and books grants; ledger and budgets say how.
const grantSQL = `select grant_rewards($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`

// grants are those that one call of grant_rewards can take: of one campaign, on one day of
// its calendar, and of each member one.
type grants struct {
	campaign, day string
	from, until   time.Time
	places        []int
	had           map[string]bool // members

	list  []*granting
	drawn map[string]*drawn // by reward

	keys, members, steps, rewards []string
	journeys                      []int64
	turns, versions               []int32
	most                          []*int32
	since, at                     []time.Time
	assets                        []string
}

// grant books grants. A member's limits need no lock of their own, because her row is held.
func (p *PageTx) grant(ctx context.Context, questions []Question, places []int, answers []campaign.Answer) error {
	var calls []*grants
	for _, i := range places {
		q := &questions[i]
		t, ask, version := q.Of, q.Ask.Grant, q.Of.row.Version
		whose := t.row.Member
		if ask.To != "" {
			whose = ask.To
		}
		if q.Ask.Version != 0 {
			version = int32(q.Ask.Version)
		}
		day, from, until := dayOf(t.now, ask.Zone)
		// What a member was granted before counts for what she is granted after it, so a call
		// that has her already is over: what comes behind it stays behind it.
		k := len(calls) - 1
		if k < 0 || calls[k].campaign != t.row.Campaign || calls[k].day != day || calls[k].had[whose] {
			calls = append(calls, &grants{campaign: t.row.Campaign, day: day, from: from, until: until, had: map[string]bool{}})
			k++
		}
		g := calls[k]
		g.had[whose] = true
		var (
			most  *int32
			after = t.now
		)
		if limit := ask.PerMember; limit != nil {
			times := int32(limit.Times)
			most, after = &times, since(limit.Every, t.now)
		}
		g.places = append(g.places, i)
		g.keys, g.members, g.steps, g.rewards = append(g.keys, q.Ask.Key), append(g.members, whose), append(g.steps, ask.Step), append(g.rewards, ask.Reward)
		of := rewardOf(ask)
		g.list = append(g.list, &granting{key: q.Ask.Key, of: of, tx: t, member: whose, worth: of.Gift().Worth(), value: ask.Value})
		g.journeys, g.assets = append(g.journeys, t.row.ID), append(g.assets, of.Asset(t.row.Campaign))
		g.turns, g.versions = append(g.turns, int32(q.Turn)), append(g.versions, version)
		g.most, g.since, g.at = append(g.most, most), append(g.since, after), append(g.at, t.now)
	}
	for _, g := range calls {
		for _, kind := range givers {
			if list := g.byKind(kind.kind); len(list) > 0 {
				if err := kind.prepare(ctx, p, g, list); err != nil {
					return err
				}
			}
		}
		if err := g.call(ctx, p.conn); err != nil {
			return err
		}
		for _, kind := range givers {
			if list := g.byKind(kind.kind); len(list) > 0 {
				if err := kind.give(ctx, p, g, list); err != nil {
					return err
				}
			}
		}
		for k, i := range g.places {
			answers[i] = campaign.Answer{OK: g.list[k].reason == "", Reason: g.list[k].reason, Points: g.list[k].points, Piece: g.list[k].piece}
		}
	}
	return nil
}

// call books the grants and says of each why it was refused.
func (g *grants) call(ctx context.Context, on *pgx.Conn) error {
	worth, lacks, stocks := make([]int64, len(g.list)), make([]string, len(g.list)), make([]*int32, len(g.list))
	for k, one := range g.list {
		worth[k], lacks[k], stocks[k] = one.worth, one.lack, one.stock
	}
	var reasons []string
	err := on.QueryRow(ctx, grantSQL, g.campaign, g.day, g.from, g.until, g.keys, g.journeys, g.turns, g.versions, g.members, g.steps, g.rewards,
		worth, g.most, g.since, g.at, g.assets, lacks, stocks).Scan(&reasons)
	if err != nil {
		return err
	}
	if len(reasons) != len(g.keys) {
		return campaign.Errorf(campaign.CodeInternal, "%d grants were answered, %d asked", len(reasons), len(g.keys))
	}
	for k, one := range g.list {
		one.reason = reasons[k]
	}
	return nil
}

// dayOf is the day of a moment: its name, its first moment and that of the next.
func dayOf(at time.Time, zone *time.Location) (name string, from, until time.Time) {
	if zone == nil {
		zone = time.UTC
	}
	local := at.In(zone)
	y, m, d := local.Date()
	next := time.Date(y, m, d+1, 12, 0, 0, 0, time.UTC)
	return local.Format(time.DateOnly), beginning(y, m, d, zone), beginning(next.Year(), next.Month(), next.Day(), zone)
}

// beginning is the first moment of a day. Where clocks are changed at midnight there may be
// no midnight, or two.
func beginning(y int, m time.Month, d int, zone *time.Location) time.Time {
	const step = 15 * time.Minute // clocks are changed by nothing smaller
	on := func(t time.Time) bool {
		ty, tm, td := t.Date()
		return ty == y && tm == m && td == d
	}
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	for !on(t) {
		t = t.Add(step)
	}
	for on(t.Add(-step)) {
		t = t.Add(-step)
	}
	return t
}

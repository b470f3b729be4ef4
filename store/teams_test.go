package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const together = `
campaign: together
title: together
events:
  come: {team: string}
  left: {}
rewards:
  welcome: {points: 1, budget: 1000000}
journeys:
  group:
    start: [{on: come}, {api: true}]
    goal: {on: left, when: "false"}
    exit: {on: left}
    entry: every_time
    steps:
      - grant: welcome
      - team: {size: 5, within: 24h, join: start.team}
        label: here
        formed:
          - end: formed
        failed:
          - end: failed
  other:
    start: [{on: come, when: "false"}, {api: true}]
    goal: {on: left, when: "false"}
    steps:
      - team: {size: 5, within: 24h, join: start.team}
        label: here
      - wait: 1h
`

// party is a store with members who come together, and what takes their turns.
type party struct {
	*store.Store
	t     *testing.T
	taker *turn.Taker
}

func newParty(t *testing.T, source string, clock *store.DemoClock) *party {
	t.Helper()
	s := open(t)
	def, problems := definitions.Check("together.yaml", []byte(source))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	if _, err := s.Submit(t.Context(), def, []byte(source)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "together", clock); err != nil {
		t.Fatal(err)
	}
	return &party{Store: s, t: t, taker: &turn.Taker{Store: s, Programs: turn.NewCache(), Via: []string{"console"}}}
}

// enter lets members into a journey, each with the code that she brings along.
func (p *party) enter(journey string, codes map[string]string) map[string]int64 {
	p.t.Helper()
	ctx, out := p.t.Context(), map[string]int64{}
	members := make([]string, 0, len(codes))
	puts := make([]store.MemberPut, 0, len(codes))
	for m := range codes {
		members, puts = append(members, m), append(puts, store.MemberPut{ID: m})
	}
	if _, err := p.PutMembers(ctx, puts); err != nil {
		p.t.Fatal(err)
	}
	err := p.InEntry(ctx, members, func(tx *store.EntryTx) error {
		c, err := tx.Campaign(ctx, "together")
		if err != nil {
			return err
		}
		for _, m := range members {
			start := &campaign.Event{
				Type: "api", Member: m, Time: c.Now, Stored: c.Now, Properties: json.RawMessage(fmt.Sprintf(`{"team":%q}`, codes[m])),
			}
			entry, err := p.taker.ByAPI(ctx, tx, m, c, journey, start)
			if err != nil || entry.Row == 0 {
				return fmt.Errorf("%s did not enter: %s %w", m, entry.Why, err)
			}
			out[m] = entry.Row
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// comes lets one member in and takes her first turn.
func (p *party) comes(member, code string) int64 {
	p.t.Helper()
	row := p.enter("group", map[string]string{member: code})[member]
	p.turn(row, 1)
	return row
}

func (p *party) turn(row int64, turn int) campaign.TurnResult {
	p.t.Helper()
	r, err := p.taker.Advance(p.t.Context(), row, turn)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// team is the newest team of a member.
func (p *party) team(member string) store.Team {
	p.t.Helper()
	list, err := p.MemberTeams(p.t.Context(), member)
	if err != nil || len(list) == 0 {
		p.t.Fatalf("%d teams, %v", len(list), err)
	}
	return list[0]
}

// tell stores an event.
func (p *party) tell(id, typ, member string) {
	p.t.Helper()
	if _, err := p.StoreEvents(p.t.Context(), []campaign.Event{{ID: id, Type: typ, Member: member, Time: time.Now().UTC()}}); err != nil {
		p.t.Fatal(err)
	}
}

// route routes until nothing is left.
func (p *party) route() {
	p.t.Helper()
	for {
		n, err := p.Route(p.t.Context(), 500, func(tx *store.RouteTx) error {
			return p.taker.Route(p.t.Context(), tx, func(b *turn.BrokenError) { p.t.Error(b) })
		})
		if err != nil {
			p.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

func (p *party) count(sql string, args ...any) (n int) {
	p.t.Helper()
	if err := p.Pool().QueryRow(p.t.Context(), sql, args...).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// later moves the demo clock on.
func (p *party) later(by time.Duration) {
	p.t.Helper()
	if _, err := p.Pool().Exec(p.t.Context(), `update campaigns set clock_start = clock_start + $1::interval`, by.String()); err != nil {
		p.t.Fatal(err)
	}
}

// sound holds what must be so of all teams.
func (p *party) sound() {
	p.t.Helper()
	for what, sql := range map[string]string{
		"teams whose number is not that of their members": `
			select count(*) from teams t where joined <> (select count(*) from team_members m where m.team = t.id and left_at is null)`,
		"teams with more members than their size": `select count(*) from teams where joined > size`,
		"members who are twice in a team": `
			select count(*) from (select from team_members where left_at is null group by team, member having count(*) > 1) x`,
		"journeys that are in two teams": `
			select count(*) from (select from team_members m join teams t on t.id = m.team
			 where left_at is null and t.state = 'open' group by m.journey having count(*) > 1) x`,
		"members of one team who were answered differently": `
			select count(*) from (select from team_members m join journeys j on j.id = m.journey
			 where m.left_at is null and j.outcome in ('formed', 'failed') group by m.team having count(distinct j.outcome) > 1) x`,
		"members who were answered otherwise than their team is": `
			select count(*) from team_members m join journeys j on j.id = m.journey join teams t on t.id = m.team
			 where m.left_at is null and j.outcome in ('formed', 'failed') and j.outcome <> t.state`,
	} {
		if n := p.count(sql); n != 0 {
			p.t.Errorf("%d %s", n, what)
		}
	}
}

// A thousand members come at the same moment with the codes of twenty teams, which have
// eighty places left. Eighty get one, no team has a member too many, and everybody else
// opens a team of her own. Over both drives: one turn for each, and pages of hundreds
// which take the same teams at once.
func TestAThousandJoinAtOnce(t *testing.T) {
	t.Parallel()
	for _, drive := range []campaign.Drive{campaign.DriveMembers, campaign.DriveSlices} {
		t.Run(string(drive), func(t *testing.T) {
			t.Parallel()
			const teams, comers, size = 20, 1000, 5
			source := strings.Replace(together, "  group:\n", "  group:\n    drive: "+string(drive)+"\n", 1)
			p := newParty(t, source, nil)
			leaders := map[string]string{}
			for i := range teams {
				leaders[fmt.Sprintf("leader-%02d", i)] = ""
			}
			rows := p.enter("group", leaders)
			p.all(drive, rows)
			var codes []string
			for i := range teams {
				codes = append(codes, p.team(fmt.Sprintf("leader-%02d", i)).Code)
			}
			if slices.Sort(codes); len(slices.Compact(codes)) != teams {
				t.Fatal("two teams have one code")
			}
			wanted := map[string]string{}
			for i := range comers {
				wanted[fmt.Sprintf("m-%04d", i)] = codes[(i*7)%teams]
			}
			p.all(drive, p.enter("group", wanted))
			p.sound()
			if n := p.count(`select count(*) from teams where state = 'formed' and joined = $1`, size); n != teams {
				t.Errorf("%d teams were formed, want %d", n, teams)
			}
			if n := p.count(`select count(*) from teams where state = 'open' and joined = 1`); n != comers-teams*(size-1) {
				t.Errorf("%d opened one of her own", n)
			}
			if n := p.count(`select count(*) from (select member from team_members group by member having count(*) <> 1) x`); n != 0 {
				t.Errorf("%d members are not in exactly one team", n)
			}
			if n := p.count(`select count(*) from trace where kind = 'team_not_joined' and params ->> 'reason' = $1`, campaign.TeamFull); n != comers-teams*(size-1) {
				t.Errorf("%d were told that the team is full", n)
			}
			// The last of each team has gone on; the news is for the other four.
			if n := p.count(`select count(*) from journeys where outcome = 'formed'`); n != teams {
				t.Errorf("%d went on at once", n)
			}
			if n := p.count(`select count(*) from intents where kind = 'team'`); n != teams*(size-1) {
				t.Errorf("%d are to be told", n)
			}
			p.route()
			if n := p.count(`select count(*) from events where type = $1`, campaign.EventTeamFormed); n != teams*(size-1) {
				t.Errorf("%d were told", n)
			}
			waiting := map[string]int64{}
			found, err := p.Pool().Query(t.Context(), `
				select distinct j.member, j.id from events e join journeys j on j.member = e.member where e.type = $1 and j.status = 'active'`, campaign.EventTeamFormed)
			if err != nil {
				t.Fatal(err)
			}
			var member string
			var row int64
			if _, err := pgx.ForEachRow(found, []any{&member, &row}, func() error {
				waiting[member] = row
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			// Pages take teams in one order, so none waits for another that waits for it.
			if n := p.count(`select deadlocks from pg_stat_database where datname = current_database()`); n != 0 {
				t.Errorf("%d pages were broken off because of each other", n)
			}
			p.turns(drive, waiting, 2)
			if n := p.count(`select count(*) from journeys where outcome = 'formed'`); n != teams*size {
				t.Errorf("%d are in a team that is formed, want %d", n, teams*size)
			}
			p.sound()
		})
	}
}

// all takes the first turns of members at the same moment.
func (p *party) all(drive campaign.Drive, rows map[string]int64) { p.turns(drive, rows, 1) }

func (p *party) turns(drive campaign.Drive, rows map[string]int64, turn int) {
	p.t.Helper()
	ctx := p.t.Context()
	var crowd sync.WaitGroup
	if drive == campaign.DriveSlices {
		for slice := 1; slice <= p.count(`select max(id) from slices`); slice++ {
			crowd.Go(func() {
				if _, err := p.taker.AdvanceSlice(ctx, campaign.SliceInput{Slice: slice}, func() bool { return true }); err != nil {
					p.t.Error(err)
				}
			})
		}
		crowd.Wait()
		if n := p.count(`select count(*) from journeys where due_at is not null and due_at <= clock_timestamp()`); n != 0 {
			p.t.Errorf("%d members are still due", n)
		}
		return
	}
	for _, row := range rows {
		crowd.Go(func() {
			if _, err := p.taker.Advance(ctx, row, turn); err != nil {
				p.t.Error(err)
			}
		})
	}
	crowd.Wait()
}

// Who leaves gives her place back, and the one who has been in it longest leads.
func TestLeavingATeam(t *testing.T) {
	t.Parallel()
	p := newParty(t, together, nil)
	a := p.comes("a", "")
	code := p.team("a").Code
	p.comes("b", strings.ToLower(code))
	c := p.comes("c", code)
	if team := p.team("a"); team.Joined != 3 || !team.Leader || team.State != campaign.TeamOpen || p.team("b").Leader || p.team("b").Code != code {
		t.Fatalf("%+v", team)
	}
	leave := func(member string, row int64) {
		t.Helper()
		p.tell("left-"+member+fmt.Sprint(row), "left", member)
		p.route()
		if r := p.turn(row, 2); r.Outcome != campaign.OutcomeExited {
			t.Fatalf("%+v", r)
		}
	}
	leave("a", a)
	if team := p.team("b"); team.Joined != 2 || !team.Leader {
		t.Errorf("%+v", team)
	}
	if team := p.team("a"); team.Leader || team.LeftAt.IsZero() || team.JoinedAt.After(team.LeftAt) {
		t.Errorf("%+v", team)
	}
	// She may come back, and is the last then.
	again := p.comes("a", code)
	if team := p.team("a"); team.Code != code || team.Joined != 3 || team.Leader || !p.team("b").Leader {
		t.Errorf("%+v", team)
	}
	// While she is in it she is not in it a second time.
	twice := p.comes("a", code)
	if team := p.team("a"); team.Code == code || team.Joined != 1 || !team.Leader {
		t.Errorf("%+v", team)
	}
	if n := p.count(`select count(*) from trace where kind = 'team_not_joined' and params ->> 'reason' = $1 and journey = $2`, campaign.TeamTwice, twice); n != 1 {
		t.Error("nothing says why")
	}
	_ = again
	leave("c", c)
	// Both journeys of hers are left by one event: of one team she is one of two, of the
	// other the only one.
	p.tell("left-a-for-good", "left", "a")
	p.route()
	p.turn(again, 2)
	p.turn(twice, 2)
	if n := p.count(`select count(*) from teams where state = 'withdrawn' and joined = 0 and closed_at is not null`); n != 1 {
		t.Errorf("%d teams were withdrawn", n)
	}
	if team := p.team("b"); team.Joined != 1 || team.State != campaign.TeamOpen {
		t.Errorf("%+v", team)
	}
	p.sound()
}

// A code of another journey's team, of one that is full, withdrawn or none at all lets
// nobody in.
func TestCodesThatDoNotFit(t *testing.T) {
	t.Parallel()
	p := newParty(t, together, nil)
	rows := p.enter("other", map[string]string{"x": ""})
	p.turn(rows["x"], 1)
	elsewhere := p.team("x").Code
	p.comes("a", "")
	full := p.team("a").Code
	for i := range 4 {
		p.comes(fmt.Sprint("b-", i), full)
	}
	gone := p.comes("g", "")
	withdrawn := p.team("g").Code
	p.tell("left-g", "left", "g")
	p.route()
	p.turn(gone, 2)
	for i, c := range []struct{ code, reason string }{
		{elsewhere, campaign.TeamElsewhere},
		{full, campaign.TeamFull},
		{withdrawn, campaign.TeamEnded},
		{"CDFGHJKMNP", campaign.TeamUnknown},
		{"'; drop table teams; --", campaign.TeamUnknown},
	} {
		member := fmt.Sprint("m-", i)
		row := p.comes(member, c.code)
		if team := p.team(member); team.Code == c.code || !team.Leader || team.Joined != 1 {
			t.Errorf("%+v: %+v", c, team)
		}
		if n := p.count(`select count(*) from trace where journey = $1 and kind = 'team_not_joined' and params ->> 'reason' = $2`, row, c.reason); n != 1 {
			t.Errorf("%+v: nothing says why", c)
		}
	}
	p.sound()
}

// When the time of a team is over nobody comes into it any more, whoever looks first: its
// members, in any order, or somebody with its code. All of them have failed.
func TestATeamWhoseTimeIsOver(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"leader", "member", "comer"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			p := newParty(t, together, &store.DemoClock{Factor: 2})
			a := p.comes("a", "")
			code := p.team("a").Code
			rows := []int64{a, p.comes("b", code), p.comes("c", code), p.comes("d", code)}
			late := p.enter("group", map[string]string{"e": code})["e"]
			p.later(25 * time.Hour)
			if team, err := p.Team(t.Context(), code); err != nil || team.State != campaign.TeamFailed || team.Remaining() != 0 || !team.ClosedAt.Equal(team.EndsAt) {
				t.Errorf("%+v, %v", team, err)
			}
			if first == "comer" {
				p.turn(late, 1)
			}
			if first == "member" {
				slices.Reverse(rows)
			}
			for _, row := range rows {
				if r := p.turn(row, 2); r.Outcome != "failed" {
					t.Errorf("%+v", r)
				}
			}
			if first != "comer" {
				p.turn(late, 1)
			}
			if team := p.team("e"); team.Code == code || team.Joined != 1 || team.State != campaign.TeamOpen {
				t.Errorf("%+v", team)
			}
			if n := p.count(`select count(*) from trace where kind = 'team_not_joined' and params ->> 'reason' = $1`, campaign.TeamEnded); n != 1 {
				t.Error("nothing says why")
			}
			if n := p.count(`select count(*) from teams where state = 'failed' and joined = 4 and closed_at = ends_at`); n != 1 {
				t.Errorf("%d teams have failed", n)
			}
			p.sound()
		})
	}
}

// The last place is taken before the end, and nobody is told until after it: the team is
// formed for all of them, from the same moment on; the news that comes then is old.
func TestATeamThatIsFormedJustBeforeItsEnd(t *testing.T) {
	t.Parallel()
	p := newParty(t, together, &store.DemoClock{Factor: 2})
	rows := []int64{p.comes("a", "")}
	code := p.team("a").Code
	for _, m := range []string{"b", "c", "d"} {
		rows = append(rows, p.comes(m, code))
	}
	p.later(23*time.Hour + 50*time.Minute)
	last := p.comes("e", code)
	p.later(time.Hour)
	for _, row := range rows {
		if r := p.turn(row, 2); r.Outcome != "formed" {
			t.Errorf("%+v", r)
		}
	}
	p.route()
	for _, row := range append(rows, last) {
		if err := p.taker.After(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.count(`select count(*) from trace where kind = 'team_formed'`); n != 5 {
		t.Errorf("%d lines tell that it is formed", n)
	}
	// They go on from the moment at which the place was taken.
	if n := p.count(`select count(*) from teams t join team_members m on m.team = t.id join journeys j on j.id = m.journey
	                  where (j.state ->> 'since')::timestamptz = t.closed_at`); n != 5 {
		t.Errorf("%d began at that moment", n)
	}
	p.sound()
}

// A turn that is taken again is answered the same, and one that is broken off has opened
// nothing; so has one whose page fails behind it.
func TestATurnThatIsRepeatedOpensOneTeam(t *testing.T) {
	t.Parallel()
	p := newParty(t, together, nil)
	row := p.enter("group", map[string]string{"a": ""})["a"]
	broken := errors.New("broken off")
	err := p.InTurns(t.Context(), []int64{row}, func(page *store.PageTx) error {
		tx, err := page.Turn(row)
		if err != nil {
			return err
		}
		answer, err := putOne(t.Context(), page, tx, 1, &campaign.Ask{Key: "key", Team: &campaign.TeamAsk{
			Do: campaign.TeamJoin, Place: "here", Size: 5, Opens: time.Now(), EndsAt: time.Now().Add(time.Hour),
		}})
		if err != nil || answer.Team.Joined != 1 {
			t.Errorf("%+v, %v", answer, err)
		}
		return broken
	})
	if !errors.Is(err, broken) || p.count(`select count(*) from teams`) != 0 {
		t.Fatal(err)
	}
	first := p.turn(row, 1)
	code := p.team("a").Code
	if again := p.turn(row, 1); again.Summary != first.Summary || p.team("a").Code != code || p.count(`select count(*) from teams`) != 1 {
		t.Errorf("%+v, then %+v", first, again)
	}
	// A member comes into the team in a turn that is broken off: her place is free.
	joiner := p.enter("group", map[string]string{"b": code})["b"]
	err = p.InTurns(t.Context(), []int64{joiner}, func(page *store.PageTx) error {
		tx, err := page.Turn(joiner)
		if err == nil {
			_, err = putOne(t.Context(), page, tx, 1, &campaign.Ask{Key: "b", Team: &campaign.TeamAsk{Do: campaign.TeamJoin, Code: code, Place: "here", Size: 5}})
		}
		if err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) || p.team("a").Joined != 1 {
		t.Errorf("%v, %d members", err, p.team("a").Joined)
	}
	// To close a team before its end is a fault, and is none of the member's doing.
	err = p.InTurns(t.Context(), []int64{row}, func(page *store.PageTx) error {
		tx, err := page.Turn(row)
		if err == nil {
			_, err = putOne(t.Context(), page, tx, 2, &campaign.Ask{Key: "c", Team: &campaign.TeamAsk{Do: campaign.TeamClose, Code: code}})
		}
		return err
	})
	if campaign.CodeOf(err) != campaign.CodeInternal {
		t.Error(err)
	}
	p.sound()
}

// putOne puts one question in a turn.
func putOne(ctx context.Context, page *store.PageTx, tx *store.TurnTx, turn int, ask *campaign.Ask) (campaign.Answer, error) {
	answers, err := page.Answer(ctx, []store.Question{{Of: tx, Turn: turn, Ask: ask}})
	if err != nil {
		return campaign.Answer{}, err
	}
	return answers[0], nil
}

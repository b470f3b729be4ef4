package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// A team has a hundred days, which no machine is too slow for, or an hour, of which a demo
// clock leaves a second.
const together = `
campaign: group
title: together
events:
  come: {kind: string, team: string}
  left:
messages:
  open: "{{ team.code }} lacks {{ team.missing }}"
  done: "{{ member.id }} of {{ team.size }}"
  sorry: "only {{ team.joined }}"
rewards:
  together: {points: 50}
journeys:
  patient:
    start: {on: come, when: event.kind == "patient"}
    goal: {on: come, when: "false"}
    exit: {on: left}
    steps:
      - team: {size: 3, within: 100d, join: start.team}
        label: here
        announce: open
        formed:
          - grant: together
          - send: done
          - end: formed
        failed:
          - send: sorry
          - end: failed
  quick:
    start: {on: come, when: event.kind == "quick"}
    goal: {on: come, when: "false"}
    steps:
      - team: {size: 2, within: 1h, join: start.team}
        formed:
          - end: formed
        failed:
          - end: failed
`

var firstOfDecember = time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC)

func (f *fleet) come(kind, team string, members ...string) {
	f.t.Helper()
	at := f.now("group")
	list := make([]campaign.Event, len(members))
	for i, m := range members {
		list[i] = comes(kind, team, m, at)
	}
	f.events(list...)
}

func comes(kind, team, member string, at time.Time) campaign.Event {
	return campaign.Event{
		ID: "come-" + member, Type: "come", Member: member, Time: at, Properties: json.RawMessage(fmt.Sprintf(`{"kind":%q,"team":%q}`, kind, team)),
	}
}

// teamOf waits until a member is in a team and gives its code.
func (f *fleet) teamOf(member string) string {
	f.t.Helper()
	const sql = `select coalesce((select t.code from team_members m join teams t on t.id = m.team where m.member = $1 and m.left_at is null), '')`
	f.until(member+" is in a team", func() bool { return f.text(sql, member) != "" })
	return f.text(sql, member)
}

// soundTeams holds what must be so of teams, whatever happened.
func (f *fleet) soundTeams() {
	f.t.Helper()
	for what, sql := range map[string]string{
		"teams whose number is not that of their members": `
			select count(*) from teams t where joined <> (select count(*) from team_members m where m.team = t.id and left_at is null) or joined > size`,
		"members who are in two teams, or in none": `
			select count(*) from (select j.id from journeys j left join team_members m on m.journey = j.id and m.left_at is null
			 where j.outcome <> 'exited' group by j.id having count(m.team) <> 1) x`,
		"members who were answered otherwise than their team is": `
			select count(*) from team_members m join journeys j on j.id = m.journey join teams t on t.id = m.team
			 where m.left_at is null and j.status = 'done' and j.outcome <> 'exited' and j.outcome <> t.state`,
		"rewards of members who are in no team that is formed": `
			select count(*) from grants g left join team_members m on m.journey = g.journey and m.left_at is null left join teams t on t.id = m.team
			 where t.state is distinct from 'formed'`,
		"members who were told twice": `
			select count(*) from (select from events where type = '@team.formed' group by member, properties having count(*) > 1) x`,
	} {
		if n := f.count(sql); n != 0 {
			f.t.Errorf("%d %s", n, what)
		}
	}
}

// Teams come together, are left and fail, over both drives: never with a member too many,
// and with one answer for all who are in one.
func TestTeams(t *testing.T) { overDrives(t, testTeams) }

func testTeams(t *testing.T, f *fleet) {
	f.submit(together, 3600, firstOfDecember)
	f.runRouter()
	f.runWorker()
	f.come("patient", "", "a-0", "l-0")
	f.come("quick", "", "q-0")
	code, left := f.teamOf("a-0"), f.teamOf("l-0")

	// Eight come at one moment, and two places are free.
	var crowd sync.WaitGroup
	for i := range 8 {
		e := comes("patient", strings.ToLower(code), fmt.Sprintf("a-%d", i+1), f.now("group"))
		crowd.Go(func() {
			if _, err := f.store.StoreEvents(f.ctx, []campaign.Event{e}); err != nil {
				t.Error(err)
			}
		})
	}
	crowd.Wait()
	// The leader leaves, and two take the places behind the second.
	f.come("patient", left, "l-1")
	f.until("she has joined", func() bool { return f.teamOf("l-1") == left })
	f.events(campaign.Event{ID: "left-l-0", Type: "left", Member: "l-0", Time: f.now("group")})
	f.until("the leader has left", func() bool {
		return f.text(`select outcome from journeys where member = 'l-0'`) == campaign.OutcomeExited
	})
	f.come("patient", left, "l-2", "l-3")
	f.until("both are formed, and one has failed", func() bool {
		return f.count(`select count(*) from journeys where outcome = 'formed'`) == 6 && f.count(`select count(*) from journeys where outcome = 'failed'`) == 1
	})
	// Whoever comes with the code of a team that has ended opens one of her own.
	late := f.text(`select t.code from teams t join team_members m on m.team = t.id where m.member = 'q-0'`)
	f.come("quick", late, "q-1")
	f.until("all but those six are over", func() bool {
		return f.count(`select count(*) from journeys where status = 'active'`) == 6 && f.count(`select count(*) from journeys where member = 'q-1' and status = 'done'`) == 1
	})
	f.until("every message is settled", func() bool {
		return f.count(`select count(*) from messages where state in ('claimed', 'unknown')`) == 0
	})
	f.soundTeams()

	if got := f.text(`select string_agg(m.member, ' ' order by m.member) from team_members m join teams t on t.id = m.team where t.code = $1 and left_at is null`, left); got != "l-1 l-2 l-3" {
		t.Errorf("in the team that was left are %s", got)
	}
	if n := f.count(`select count(*) from teams where size = 3 and state = 'open' and joined = 1`); n != 6 {
		t.Errorf("%d opened a team of their own", n)
	}
	if n := f.count(`select count(*) from trace where kind = 'team_not_joined' and params ->> 'reason' = $1`, campaign.TeamFull); n != 6 {
		t.Errorf("%d were told that it is full", n)
	}
	if n := f.count(`select count(*) from trace where kind = 'team_not_joined' and params ->> 'reason' = $1`, campaign.TeamEnded); n != 1 {
		t.Errorf("%d were told that it is over", n)
	}
	if n := f.count(`select count(*) from grants where state = 'granted'`); n != 6 {
		t.Errorf("%d rewards were granted", n)
	}
	// Everybody in a team that is formed is told once, with the numbers of that team; who
	// took the last place, and nobody else, was told of no open team.
	told := map[string]int{}
	for _, r := range f.receiver.Delivered() {
		told[r.Body] += r.Times
	}
	for _, m := range []string{"l-1", "l-2", "l-3", "a-0"} {
		if told[m+" of 3"] != 1 {
			t.Errorf("%s was told %d times", m, told[m+" of 3"])
		}
	}
	if told[code+" lacks 2"] != 1 || told[code+" lacks 1"] != 1 || told[left+" lacks 2"] != 1 || told[left+" lacks 1"] < 1 {
		t.Errorf("announced %v", told)
	}
	if n := f.count(`select count(*) from messages where name = 'open'`); n != 2+3+6 {
		t.Errorf("%d announcements", n)
	}
	// Codes let people in, so they stand in no history.
	f.nowhereInTemporal("webhook", code, left)
}

// They come at the last moment, while the time of the teams runs out: whatever happens
// first, all who are in a team are answered the same.
func TestTeamsAtTheLastMoment(t *testing.T) { overDrives(t, testTeamsAtTheLastMoment) }

func testTeamsAtTheLastMoment(t *testing.T, f *fleet) {
	const teams = 24
	f.submit(together, 600, firstOfDecember) // an hour is six seconds
	f.runRouter()
	f.runWorker()
	openers := make([]string, teams)
	for i := range openers {
		openers[i] = fmt.Sprintf("o-%02d", i)
	}
	f.come("quick", "", openers...)
	f.until("all teams are open", func() bool { return f.count(`select count(*) from teams`) == teams })
	var ends time.Time // of nearly all: who is looked at late has her whole hour from then on
	if err := f.pool.QueryRow(f.ctx, `select min(ends_at) from teams`).Scan(&ends); err != nil {
		t.Fatal(err)
	}
	// From two seconds before the end until it: what they tell takes a while to become a turn.
	for i, opener := range openers {
		from := ends.Add(time.Duration(i-teams) * 50 * time.Second)
		f.until("her moment has come", func() bool { return !f.now("group").Before(from) })
		f.come("quick", f.text(`select t.code from team_members m join teams t on t.id = m.team where m.member = $1`, opener), fmt.Sprintf("j-%02d", i))
	}
	f.until("everybody has come", func() bool { return f.count(`select count(*) from journeys`) == 2*teams })
	f.allDone()
	f.soundTeams()
	t.Logf("%d teams were formed, %d failed", f.count(`select count(*) from teams where state = 'formed'`), f.count(`select count(*) from teams where state = 'failed'`))
}

// The last place is taken, and whoever took the turn dies before anything was told: the
// others learn of it when somebody works again, once.
func TestATeamIsFormedAndTheWorkerDies(t *testing.T) {
	overDrives(t, testATeamIsFormedAndTheWorkerDies)
}

func testATeamIsFormedAndTheWorkerDies(t *testing.T, f *fleet) {
	f.submit(together, 3600, firstOfDecember)
	stopRouter, stopWorker := f.runRouter(), f.runWorker()
	f.come("patient", "", "m-1")
	code := f.teamOf("m-1")
	f.come("patient", code, "m-2")
	f.until("she has joined", func() bool { return f.teamOf("m-2") == code })
	f.until("nothing is on its way", func() bool {
		return f.count(`select count(*) from intents`) == 0 && f.count(`select count(*) from messages where state in ('claimed', 'unknown')`) == 0
	})
	stopWorker()
	stopRouter()

	f.come("patient", code, "m-3")
	taker := &turn.Taker{Store: f.store, Programs: f.programs, Via: []string{"webhook"}}
	f.route(taker)
	row := int64(f.count(`select id::int from journeys where member = 'm-3'`))
	if f.sliced() {
		slice := f.count(`select slice from journeys where id = $1`, row)
		if _, err := taker.AdvanceSlice(f.ctx, campaign.SliceInput{Slice: slice}, func() bool { return true }); err != nil {
			t.Fatal(err)
		}
	} else {
		stopDeliver := f.run(f.router.Deliver)
		f.until("her workflow is there", func() bool { return f.count(`select count(*) from intents`) == 0 })
		stopDeliver()
		if _, err := taker.Advance(f.ctx, row, 1); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.text(`select state || ' ' || joined from teams`); got != "formed 3" {
		t.Fatalf("the team is %s", got)
	}
	if n := f.count(`select count(*) from journeys where outcome = 'formed'`); n != 1 {
		t.Fatalf("%d have gone on, want the last alone", n)
	}
	if n := f.count(`select count(*) from intents where kind = 'team'`); n != 2 {
		t.Fatalf("%d are to be told", n)
	}
	f.runRouter()
	f.runWorker()
	f.allDone()
	f.soundTeams()
	if n := f.count(`select count(*) from journeys where outcome = 'formed'`); n != 3 {
		t.Errorf("%d have gone on", n)
	}
	if n := f.count(`select count(*) from journeys j join teams t on (j.state ->> 'since')::timestamptz = t.closed_at`); n != 3 {
		t.Errorf("%d went on from the moment at which the place was taken", n)
	}
	told := map[string]int{}
	for _, r := range f.receiver.Delivered() {
		told[r.Body] += r.Times
	}
	for _, m := range []string{"m-1", "m-2", "m-3"} {
		if told[m+" of 3"] != 1 {
			t.Errorf("%s was told %d times: %v", m, told[m+" of 3"], told)
		}
	}
}

// Members on two versions come together, each goes on by her own; and who is moved to
// another version stays in her team.
func TestTeamsOfTwoVersions(t *testing.T) { overDrives(t, testTeamsOfTwoVersions) }

func testTeamsOfTwoVersions(t *testing.T, f *fleet) {
	f.submit(together, 3600, firstOfDecember)
	f.runRouter()
	f.runWorker()
	f.come("patient", "", "m-1", "k-1")
	code, other := f.teamOf("m-1"), f.teamOf("k-1")
	f.come("patient", code, "m-2")
	f.until("she has joined", func() bool { return f.teamOf("m-2") == code })
	// In another place, of another size, under the same label.
	f.version(strings.NewReplacer("      - team: {size: 3", "      - wait: 1m\n      - team: {size: 5", "          - end: formed\n        failed:\n          - send: sorry", "          - end: by-the-second\n        failed:\n          - send: sorry").Replace(together))
	m := f.decide("group", campaign.MigrationRule{Journey: "patient", Step: "here", Do: campaign.MigrationMove})
	f.until("the migration is done", func() bool {
		got, err := f.store.Migration(f.ctx, "group", m.ID)
		return err == nil && got.State == store.MigrationDone
	})
	if n := f.count(`select count(*) from team_members where left_at is not null`); n != 0 {
		t.Fatalf("%d have left their teams", n)
	}
	f.come("patient", code, "m-3")
	f.come("patient", other, "k-2")
	f.until("three have come together", func() bool { return f.count(`select count(*) from journeys where outcome = 'by-the-second'`) == 3 })
	f.until("one has joined the other team", func() bool { return f.teamOf("k-2") == other })
	if got := f.text(`select state || ' ' || joined || ' ' || size from teams where code = $1`, other); got != "open 2 3" {
		t.Errorf("the other team is %s", got)
	}
	for member, want := range map[string]int{"m-1": 2, "m-2": 2, "m-3": 2} {
		if got := f.count(`select version from journeys where member = $1`, member); got != want {
			t.Errorf("%s is on version %d", member, got)
		}
	}
}

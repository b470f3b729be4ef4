package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/journey"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

// Every shipped campaign runs on the engine: members come in by events, by a segment and by
// a schedule, are told what they are promised, and people are asked. What they do after
// that their own tests say, and the rehearsal does as the engine.
func TestShippedCampaignsRun(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	// Monday, 10:30 in Shanghai. A day takes nine seconds.
	from := time.Date(2027, 3, 8, 2, 30, 0, 0, time.UTC)
	const factor = 10_000
	friend := notHeldOut(t, "referral-week", "invited")
	f.exec(`insert into members (id, joined_at) values ($1, '2027-03-08T10:00:00+08:00'), ('m-old', '2026-03-08T10:00:00+08:00')`, friend)
	sleeper := notHeldOut(t, "win-back", "win-back")
	old := paid("long-ago", sleeper, "noodles", "32.00", from.Add(-150*24*time.Hour))
	f.events(old)
	names := map[string]bool{}
	for _, name := range definitions.ShippedNames() {
		if name != "fitness-trial" { // which has tests of its own
			names[f.submit(read(t, "../definitions/"+name+".yaml"), factor, from)] = true
		}
	}
	if len(names) != 5 {
		t.Fatalf("this test knows of five more campaigns: %v", names)
	}
	f.runRouter()
	f.runWorker()

	id := 0
	tell := func(member, event, properties string, at time.Time) {
		id++
		f.events(campaign.Event{ID: fmt.Sprintf("told-%d", id), Type: event, Member: member, Time: at, Properties: json.RawMessage(properties)})
	}
	mother := notHeldOut(t, "maternity-diary", "consultation")
	start := f.now("maternity-diary")
	tell(mother, "diary.joined", `{"consent":true}`, start)
	tell("no-consent", "diary.joined", `{"consent":false}`, start)
	reader := notHeldOut(t, "book-club", "read-together")
	tell(reader, "article.opened", `{"article":"a-7"}`, start)
	f.events(paid("course", "student", "course", "199.00", start))
	code, err := f.router.Issue(t.Context(), "referral-week", "m-old", store.ReferralMarks{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.router.Bind(t.Context(), &turn.Binding{Code: code.Code, Invitee: friend}); err != nil {
		t.Fatal(err)
	}
	f.events(paid("friend-paid", friend, "trial", "9.90", f.now("referral-week")))

	entered := func(journey, member string) bool {
		return f.count(`select count(*) from journeys where journey = $1 and member = $2`, journey, member) == 1
	}
	sent := func(message, member string) bool {
		return f.count(`select count(*) from messages where name = $1 and member = $2 and state = 'sent'`, message, member) == 1
	}
	f.until("she is in the chain", func() bool { return sent("welcome", mother) })
	// Seven diaries, told at once, as by a mini program that was away.
	for i := range 7 {
		tell(mother, "diary.posted", fmt.Sprintf(`{"diary":"d-%d"}`, i), start.Add(time.Duration(i+1)*time.Second))
	}
	f.until("the first messages are out", func() bool {
		return sent("book-offer", reader) && sent("who", "student") && sent("hello", friend) && sent("friend-came", "m-old")
	})
	f.until("the expert is asked, and whoever wrote seven is in the consultation", func() bool {
		return f.count(`select count(*) from reviews where campaign = 'maternity-diary' and role = 'expert'`) == 1 && entered("consultation", mother)
	})
	f.until("on Tuesday the sleeper is greeted", func() bool {
		return entered("win-back", sleeper) && f.count(`select count(*) from messages where name like 'hello-%' and member = $1 and state = 'sent'`, sleeper) == 1
	})
	tell(mother, "consent.withdrawn", `{}`, f.now("maternity-diary"))
	f.until("she is out of everything, and is told so", func() bool {
		return sent("withdrawn", mother) && f.count(`select count(*) from journeys where member = $1 and status = 'active'`, mother) == 0
	})
	if n := f.count(`select count(*) from journeys where member = 'no-consent'`); n != 0 {
		t.Errorf("%d journeys without consent", n)
	}
}

// notHeldOut finds a member whom a journey does not hold out.
func notHeldOut(t *testing.T, name, journeyName string) string {
	t.Helper()
	def, problems := definitions.Check(name, []byte(read(t, "../definitions/"+name+".yaml")))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	j, ok := def.Journey(journeyName)
	if !ok {
		t.Fatalf("%s has no journey %s", name, journeyName)
	}
	for i := range 1000 {
		if id := fmt.Sprintf("%s-%d", name, i); !journey.HeldOut(name, journeyName, id, j.Holdout) {
			return id
		}
	}
	t.Fatal("everybody is held out")
	return ""
}

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// Members wait for their own reply or for a person's decision; the order that lets one in
// says for what, and the label of each wait what is done with it.
const asked = `
campaign: asked
title: 问与审
roles:
  coach: {title: Coach}
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  question: "几节课？"
journeys:
  way:
    start: {on: order.paid}
    steps:
      - choose:
          - when: start.offer == "ask-stay"
            steps: [{label: ask-stay, ask: {message: question, answers: {n: int}, for: 30d}, otherwise: [{end: silent}]}, {end: answered-VERSION}]
          - when: start.offer == "ask-on"
            steps: [{label: ask-on, ask: {message: question, answers: {n: int}, for: 30d}, otherwise: [{end: silent}]}, {end: answered-VERSION}]
          - when: start.offer == "ask-away"
            steps: [{label: ask-away, ask: {message: question, answers: {n: int}, for: 30d}, otherwise: [{end: silent}]}, {end: answered-VERSION}]
          - when: start.offer == "ask-end"
            steps: [{label: ask-end, ask: {message: question, answers: {n: int}, for: 30d}, otherwise: [{end: silent}]}, {end: answered-VERSION}]
          - when: start.offer == "review-stay"
            steps: [{label: review-stay, review: {by: coach, for: 30d, otherwise: reject}, approved: [{end: approved-VERSION}], rejected: [{end: rejected-VERSION}]}]
          - when: start.offer == "review-on"
            steps: [{label: review-on, review: {by: coach, for: 30d, otherwise: reject}, approved: [{end: approved-VERSION}], rejected: [{end: rejected-VERSION}]}]
          - when: start.offer == "review-away"
            steps: [{label: review-away, review: {by: coach, for: 30d, otherwise: reject}, approved: [{end: approved-VERSION}], rejected: [{end: rejected-VERSION}]}]
          - when: start.offer == "review-end"
            steps: [{label: review-end, review: {by: coach, for: 30d, otherwise: reject}, approved: [{end: approved-VERSION}], rejected: [{end: rejected-VERSION}]}]
        otherwise: [{label: away, wait: 20d}, {end: away}]
`

// Who waits for a reply or a decision is kept, moved with the wait, moved away or ended, and
// brought back: the wait goes on, the question is asked once, and a review that a move has
// withdrawn stays withdrawn, with the member where she is.
func TestMigrationOfQuestionsAndReviews(t *testing.T) {
	overDrives(t, testMigrationOfQuestionsAndReviews)
}

func testMigrationOfQuestionsAndReviews(t *testing.T, f *fleet) {
	f.submit(strings.ReplaceAll(asked, "VERSION", "old"), 2, time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC))
	f.runRouter()
	f.runWorker()
	kinds := []string{"ask-stay", "ask-on", "ask-away", "ask-end", "review-stay", "review-on", "review-away", "review-end"}
	now := f.now("asked")
	var events []campaign.Event
	for _, kind := range kinds {
		for i := 1; i <= 2; i++ {
			member := fmt.Sprintf("%s-%d", kind, i)
			events = append(events, paid("in-"+member, member, kind, "9.90", now))
		}
	}
	f.events(events...)
	settled := func(active int) {
		t.Helper()
		f.until("everybody waits, and nothing is on its way", func() bool {
			return f.count(`select count(*) from journeys where status = 'active' and step <> ''`) == active && f.count(`select count(*) from intents`) == 0
		})
	}
	settled(len(events))
	f.until("the questions are out", func() bool { return f.count(`select count(*) from messages where state = 'sent'`) == 8 })
	done := func(m store.Migration) store.Migration {
		t.Helper()
		f.until("the migration is done", func() bool { return f.text(`select state from migrations where id = $1`, m.ID) == "done" })
		m, err := f.store.Migration(f.ctx, "asked", m.ID)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	reviews := func() string {
		return f.text(`select string_agg(j.member || ' ' || r.state, ', ' order by j.member) from reviews r join journeys j on j.id = r.journey`)
	}
	decide := func(member string, decision campaign.ReviewDecision) error {
		t.Helper()
		id := f.count(`select id::int from reviews where member = $1`, member)
		_, err := f.store.DecideReview(f.ctx, int64(id), decision, "li", "because")
		return err
	}
	answer := func(member string) {
		t.Helper()
		f.events(campaign.Event{ID: "reply-" + member, Type: campaign.EventReply, Member: member, Time: f.now("asked"), Properties: []byte(`{"text":"7"}`)})
	}
	outcome := func(member, want string) {
		t.Helper()
		f.until(member+" has ended as "+want, func() bool { return f.text(`select outcome from journeys where member = $1`, member) == want })
	}

	f.version(strings.ReplaceAll(asked, "VERSION", "new"))
	end := func(step string) campaign.MigrationRule {
		return campaign.MigrationRule{Journey: "way", Step: step, Do: campaign.MigrationEnd, Outcome: "called-off"}
	}
	m := done(f.decide("asked", toStep("ask-on", ""), toStep("ask-away", "away"), end("ask-end"),
		toStep("review-on", ""), toStep("review-away", "away"), end("review-end")))
	if m.Moved != 8 || m.Ended != 4 || m.Kept+m.Failed != 0 {
		t.Errorf("%+v", m)
	}
	settled(12)
	if got, want := reviews(), "review-away-1 withdrawn, review-away-2 withdrawn, review-end-1 withdrawn, review-end-2 withdrawn, "+
		"review-on-1 open, review-on-2 open, review-stay-1 open, review-stay-2 open"; got != want {
		t.Errorf("reviews: %s, want %s", got, want)
	}
	for _, member := range []string{"review-away-1", "review-end-1"} {
		if err := decide(member, campaign.Approve); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "withdrawn") {
			t.Errorf("%s is decided although the review was withdrawn: %v", member, err)
		}
	}
	// By the version that each is on.
	answer("ask-on-1")
	answer("ask-stay-1")
	for _, member := range []string{"review-on-1", "review-stay-1"} {
		if err := decide(member, campaign.Approve); err != nil {
			t.Error(err)
		}
	}
	for member, want := range map[string]string{
		"ask-on-1": "answered-new", "ask-stay-1": "answered-old", "review-on-1": "approved-new", "review-stay-1": "approved-old",
		"ask-end-1": "called-off", "review-end-1": "called-off",
	} {
		outcome(member, want)
	}
	settled(8)

	back, err := f.store.RevertMigration(f.ctx, "asked", m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if back = done(back); back.Moved != 4 || back.Kept != 2 || back.KeptWhy[campaign.KeptWithdrawn] != 2 || back.Failed != 0 {
		t.Errorf("%+v", back)
	}
	settled(8)
	answer("ask-on-2")
	answer("ask-away-2")
	answer("ask-stay-2")
	if err := decide("review-on-2", campaign.Reject); err != nil {
		t.Error(err)
	}
	for member, want := range map[string]string{
		"ask-on-2": "answered-old", "ask-away-2": "answered-old", "ask-stay-2": "answered-old", "review-on-2": "rejected-old",
	} {
		outcome(member, want)
	}
	settled(4)
	if got, want := f.text(`select string_agg(member || ' v' || version || ' ' || step_name, ', ' order by member) from journeys where status = 'active'`),
		"ask-away-1 v1 ask question, review-away-1 v2 wait 20d, review-away-2 v2 wait 20d, review-stay-2 v1 review by coach"; got != want {
		t.Errorf("under way: %s, want %s", got, want)
	}
	for _, r := range f.receiver.Delivered() {
		if r.Times != 1 {
			t.Errorf("%+v", r)
		}
	}
	if n := len(f.receiver.Delivered()); n != 8 {
		t.Errorf("%d questions were delivered, want 8", n)
	}
	for _, finding := range f.examine() {
		if !finding.OK {
			t.Errorf("%s: %s", finding.Check, finding.Detail)
		}
	}
}

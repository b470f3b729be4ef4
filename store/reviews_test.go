package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const diary = `
campaign: diary
title: diary
roles:
  coach: {title: Coach, backup: owner}
  owner:
events:
  liked:
  left:
journeys:
  wall:
    start: {api: true}
    goal: {on: liked}
    exit: {on: left}
    steps:
      - review: {by: coach, about: Good enough?, for: 24h, otherwise: reject}
        approved:
          - end: shown
        rejected:
          - end: kept
`

// wall is a store with members who wait for a decision, and what takes their turns.
type wall struct {
	*store.Store
	t     *testing.T
	taker *turn.Taker
}

func newWall(t *testing.T, source string, clock *store.DemoClock) *wall {
	t.Helper()
	s := open(t)
	def, problems := definitions.Check("diary.yaml", []byte(source))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	if _, err := s.Submit(t.Context(), def, []byte(source)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "diary", clock); err != nil {
		t.Fatal(err)
	}
	return &wall{Store: s, t: t, taker: &turn.Taker{Store: s, Programs: turn.NewCache(), Via: []string{"console"}}}
}

// enter lets a member in and takes her first turn.
func (w *wall) enter(member string) (row int64) {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.PutMembers(ctx, []store.MemberPut{{ID: member}}); err != nil {
		w.t.Fatal(err)
	}
	err := w.InEntry(ctx, []string{member}, func(tx *store.EntryTx) error {
		c, err := tx.Campaign(ctx, "diary")
		if err != nil {
			return err
		}
		entry, err := w.taker.ByAPI(ctx, tx, member, c, "wall", nil)
		row = entry.Row
		return err
	})
	if err != nil || row == 0 {
		w.t.Fatalf("%s did not enter: %v", member, err)
	}
	if _, err := w.taker.Advance(ctx, row, 1); err != nil {
		w.t.Fatal(err)
	}
	return row
}

func (w *wall) only(f store.ReviewFilter) store.Review {
	w.t.Helper()
	list, err := w.Reviews(w.t.Context(), f, 0, 10)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%d reviews, %v", len(list), err)
	}
	return list[0]
}

// events counts the events of a member.
func (w *wall) events(member string) (n int) {
	w.t.Helper()
	if err := w.Pool().QueryRow(w.t.Context(), "select count(*) from events where member = $1", member).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func refusedWith(t *testing.T, err error, code campaign.Code, words ...string) {
	t.Helper()
	if campaign.CodeOf(err) != code {
		t.Errorf("%v: %s, want %s", err, campaign.CodeOf(err), code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// A decision becomes an event of the member, with the next number of her sequence, and
// her journey's next turn goes by it. The second decision is told of the first.
func TestADecisionReachesTheJourney(t *testing.T) {
	w := newWall(t, diary, nil)
	ctx := t.Context()
	row := w.enter("m-1")
	r := w.only(store.ReviewFilter{State: campaign.ReviewOpen, Role: "coach", Campaign: "diary", Kind: campaign.ReviewDecide})
	if r.Asked() != "coach" || r.Member != "m-1" || r.About != "Good enough?" || r.ClosesAt.Sub(r.At) != 48*time.Hour || r.JourneyRow != row {
		t.Errorf("%+v", r)
	}
	decided, err := w.DecideReview(ctx, r.ID, campaign.Approve, "li", "good")
	if err != nil || decided.State != campaign.ReviewApproved || decided.DecidedBy != "li" || decided.Reason != "good" || decided.Asked() != "" {
		t.Fatalf("%+v, %v", decided, err)
	}
	_, err = w.DecideReview(ctx, r.ID, campaign.Reject, "wang", "bad")
	refusedWith(t, err, campaign.CodeConflict, "approved by li at")
	_, err = w.ClaimReview(ctx, r.ID, "wang")
	refusedWith(t, err, campaign.CodeConflict, "approved by li at")
	routed := 0
	if _, err := w.Route(ctx, 10, func(tx *store.RouteTx) error {
		for _, in := range tx.Intents {
			if in.Event != nil && in.Event.Type == campaign.EventReviewDecided && in.Event.Seq == 1 {
				routed++
			}
		}
		return w.taker.Route(ctx, tx, func(err *turn.BrokenError) { t.Error(err) })
	}); err != nil || routed != 1 {
		t.Fatalf("%d decisions were routed, %v", routed, err)
	}
	result, err := w.taker.Advance(ctx, row, 2)
	if err != nil || result.Outcome != "shown" {
		t.Errorf("%+v, %v", result, err)
	}
	story, err := w.Story(ctx, "m-1")
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, l := range story.Journeys[0].Lines {
		told = told || l.Kind == campaign.TraceReviewDecided && l.Params["by"] == "li" && l.Params["why"] == "good"
	}
	if !told {
		t.Errorf("%+v", story.Journeys[0].Lines)
	}
	if _, err := w.Review(ctx, 999); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Error(err)
	}
	_, err = w.DecideReview(ctx, 999, campaign.Approve, "li", "good")
	refusedWith(t, err, campaign.CodeNotFound)
}

// Of many decisions at one moment exactly one is taken, and the others are told which.
func TestSimultaneousDecisions(t *testing.T) {
	w := newWall(t, diary, nil)
	w.enter("m-1")
	id := w.only(store.ReviewFilter{}).ID
	const people = 8
	errs := make([]error, people)
	var done sync.WaitGroup
	for i := range people {
		done.Go(func() {
			decision := campaign.Approve
			if i%2 == 1 {
				decision = campaign.Reject
			}
			_, errs[i] = w.DecideReview(t.Context(), id, decision, fmt.Sprintf("p-%d", i), "because")
		})
	}
	done.Wait()
	r := w.only(store.ReviewFilter{})
	taken := 0
	for i, err := range errs {
		if err == nil {
			taken++
			if r.DecidedBy != fmt.Sprintf("p-%d", i) {
				t.Errorf("p-%d was told that it decided, and %s did", i, r.DecidedBy)
			}
			continue
		}
		refusedWith(t, err, campaign.CodeConflict, string(r.State)+" by "+r.DecidedBy)
	}
	if events := w.events("m-1"); taken != 1 || events != 1 {
		t.Errorf("%d decisions were taken, %d events stored", taken, events)
	}
}

// A review is claimed by one person at a time; others can decide it when it is released.
func TestClaims(t *testing.T) {
	w := newWall(t, diary, nil)
	ctx := t.Context()
	w.enter("m-1")
	id := w.only(store.ReviewFilter{}).ID
	for range 2 {
		if r, err := w.ClaimReview(ctx, id, "li"); err != nil || r.ClaimedBy != "li" || r.ClaimedAt.IsZero() {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	_, err := w.ClaimReview(ctx, id, "wang")
	refusedWith(t, err, campaign.CodeConflict, "li has claimed")
	_, err = w.DecideReview(ctx, id, campaign.Approve, "wang", "good")
	refusedWith(t, err, campaign.CodeConflict, "li has claimed")
	if r, err := w.ReleaseReview(ctx, id); err != nil || r.ClaimedBy != "" || !r.ClaimedAt.IsZero() {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := w.DecideReview(ctx, id, campaign.Approve, "wang", "good"); err != nil {
		t.Error(err)
	}
}

// When its time is over the question and the claim fall to the backup, and then to
// nobody, whether a turn has run or not. A demo clock lets hours pass at once.
func TestAReviewGoesToTheBackupAndThenToNobody(t *testing.T) {
	w := newWall(t, diary, &store.DemoClock{Factor: campaign.MaxClockFactor, From: time.Now()})
	ctx := t.Context()
	row := w.enter("m-1")
	id := w.only(store.ReviewFilter{}).ID
	until := func(what string, is func(store.Review) bool) store.Review {
		t.Helper()
		for began := time.Now(); time.Since(began) < time.Minute; {
			r, err := w.Review(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if is(r) {
				return r
			}
		}
		t.Fatalf("it never %s", what)
		return store.Review{}
	}
	if _, err := w.ClaimReview(ctx, id, "li"); err != nil {
		var code *campaign.Error // a machine so slow that the first day has passed
		if !errors.As(err, &code) {
			t.Fatal(err)
		}
	}
	until("went to nobody", func(r store.Review) bool { return r.Asked() == "" })
	_, err := w.DecideReview(ctx, id, campaign.Approve, "wang", "good")
	refusedWith(t, err, campaign.CodeConflict, "was over at", "rejected")
	result, err := w.taker.Advance(ctx, row, 2)
	if err != nil || result.Outcome != "kept" {
		t.Fatalf("%+v, %v", result, err)
	}
	r := w.only(store.ReviewFilter{State: campaign.ReviewRejected})
	if r.DecidedBy != "" || !r.DecidedAt.Equal(r.ClosesAt) {
		t.Errorf("%+v", r)
	}
	_, err = w.DecideReview(ctx, id, campaign.Approve, "wang", "good")
	refusedWith(t, err, campaign.CodeConflict, "nobody had decided")
}

// A decision about a payment whose offer is over is kept once too, moves nothing, and stands
// in the story.
func TestADecisionAboutAPayment(t *testing.T) {
	w := newWall(t, diary, nil)
	ctx := t.Context()
	row := w.enter("m-1")
	first := w.only(store.ReviewFilter{})
	if err := w.InTurns(ctx, []int64{row}, func(page *store.PageTx) error {
		tx, err := page.Turn(row)
		if err != nil {
			return err
		}
		j := tx.Journey()
		return tx.Save(j.Turn+1, &campaign.Decision{
			State: j.State, Cursor: j.Cursor, Listens: []string{campaign.EventReviewDecided},
			Reviews: []campaign.Review{{
				Key: "k/review/e-1", Kind: campaign.ReviewLate, State: campaign.ReviewOpen, Step: "1", Offer: "card", Event: "e-1",
				Detail: map[string]string{"order": "o-1"}, At: j.Now,
			}},
		}, &campaign.TurnResult{Turn: j.Turn + 1, Wait: -1})
	}); err != nil {
		t.Fatal(err)
	}
	r := w.only(store.ReviewFilter{Kind: campaign.ReviewLate})
	if list, err := w.Reviews(ctx, store.ReviewFilter{}, first.ID, 10); err != nil || len(list) != 1 || list[0].ID != r.ID {
		t.Errorf("behind the first: %v, %v", list, err)
	}
	if r.Asked() != "" || r.Detail["order"] != "o-1" || !r.ClosesAt.IsZero() {
		t.Errorf("%+v", r)
	}
	if _, err := w.DecideReview(ctx, r.ID, campaign.Approve, "li", "paid the rest"); err != nil {
		t.Fatal(err)
	}
	if events := w.events("m-1"); events != 0 {
		t.Errorf("%d events were stored", events)
	}
	story, err := w.Story(ctx, "m-1")
	if err != nil {
		t.Fatal(err)
	}
	last := story.Journeys[0].Lines[len(story.Journeys[0].Lines)-1]
	if last.Kind != campaign.TraceReviewDecided || last.Params["kind"] != "late_payment" || last.Params["why"] != "paid the rest" {
		data, _ := json.Marshal(story.Journeys[0].Lines)
		t.Errorf("%s", data)
	}
	_, err = w.DecideReview(ctx, r.ID, campaign.Approve, "li", "paid the rest")
	refusedWith(t, err, campaign.CodeConflict, "approved by li")
}

// Somebody decides at the very moment at which the time is over. Whatever she is told is
// what the journey does, and what the review says.
func TestADecisionAndTheEndOfItsTime(t *testing.T) {
	w := newWall(t, strings.Replace(diary, "by: coach, about: Good enough?, for: 24h", "by: owner, for: 30m", 1),
		&store.DemoClock{Factor: 3600, From: time.Now()})
	ctx := t.Context()
	const members = 12
	rows := make([]int64, members)
	for i := range members {
		rows[i] = w.enter(fmt.Sprintf("m-%d", i))
	}
	var all sync.WaitGroup
	accepted := make([]bool, members)
	for i, row := range rows {
		var id int64
		if err := w.Pool().QueryRow(ctx, "select id from reviews where journey = $1", row).Scan(&id); err != nil {
			t.Fatal(err)
		}
		ended := make(chan string, 1)
		all.Go(func() {
			defer close(ended)
			for turn := 1; ; {
				result, err := w.taker.Advance(ctx, row, turn+1)
				if err != nil {
					t.Error(err)
					return
				}
				if turn = result.Turn; result.Outcome != "" {
					ended <- result.Outcome
					return
				}
			}
		})
		all.Go(func() {
			// The later the member entered the nearer to the end the decision comes.
			for {
				r, err := w.Review(ctx, id)
				if err != nil {
					t.Error(err)
					return
				}
				if r.State != campaign.ReviewOpen || r.ClosesAt.Sub(r.Now) < time.Duration(i)*time.Minute {
					break
				}
			}
			_, err := w.DecideReview(ctx, id, campaign.Approve, "li", "good")
			if accepted[i] = err == nil; !accepted[i] {
				refusedWith(t, err, campaign.CodeConflict, "was over at")
			}
			want := map[bool]string{true: "shown", false: "kept"}[accepted[i]]
			r, err := w.Review(ctx, id)
			if outcome := <-ended; outcome != want || err != nil || accepted[i] && r.State != campaign.ReviewApproved {
				t.Errorf("m-%d: accepted %v, the journey ended as %s, the review is %s, %v", i, accepted[i], outcome, r.State, err)
			}
		})
	}
	all.Wait()
	t.Logf("accepted %v", accepted)
	findings, err := w.Examine(ctx)
	for _, f := range findings {
		if err != nil || f.Check == "reviews" && !f.OK {
			t.Errorf("%+v, %v", f, err)
		}
	}
}

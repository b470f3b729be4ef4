package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const calling = `
campaign: diary
title: calls
events:
  liked:
  left:
journeys:
  wall:
    start: {api: true}
    goal: {on: liked}
    exit: {on: left}
    steps:
      - call: {url: "https://crm.example.com", returns: {score: int}, save_as: crm, for: 24h}
        otherwise:
          - end: no-crm
      - choose:
          - when: calls.crm.score == 7
            steps:
              - end: seven
`

// claimed is the call of a member who has just entered.
func (w *wall) claimed(member string) campaign.Outgoing {
	w.t.Helper()
	w.enter(member)
	var key string
	if err := w.Pool().QueryRow(w.t.Context(), "select key from messages where member = $1 and kind = 'call'", member).Scan(&key); err != nil {
		w.t.Fatal(err)
	}
	return w.outgoing(key)
}

func (w *wall) outgoing(key string) campaign.Outgoing {
	w.t.Helper()
	list, err := w.Outgoing(w.t.Context(), key)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%d claims, %v", len(list), err)
	}
	return list[0]
}

// ended is how a claim and its effect stand.
func (w *wall) ended(key string) (out string) {
	w.t.Helper()
	if err := w.Pool().QueryRow(w.t.Context(),
		"select m.state || ' ' || e.state || ' ' || m.reason from messages m join effects e using (key) where key = $1", key).Scan(&out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *wall) outcome(row int64, turn int) string {
	w.t.Helper()
	result, err := w.taker.Advance(w.t.Context(), row, turn)
	if err != nil {
		w.t.Fatal(err)
	}
	return result.Outcome
}

func answered(o *campaign.Outgoing, score string) campaign.Attempt {
	return campaign.Attempt{
		Of: o, Channel: campaign.ChannelCall, State: campaign.SendSent, Returned: map[string]json.RawMessage{"score": json.RawMessage(score)},
	}
}

// How a call ended becomes an event of the member in the transaction that settles it, once,
// and her journey's next turn goes by it.
func TestACallIsSettledOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := newWall(t, calling, nil)
	for member, c := range map[string]struct {
		end              campaign.Attempt
		outcome, settled string
		events           int
	}{
		"m-1": {answered(nil, "7"), "seven", "sent settled ", 1},
		"m-2": {campaign.Attempt{State: campaign.SendRefused, Reason: "http_404"}, "no-crm", "refused refused http_404", 1},
		"m-3": {campaign.Attempt{State: campaign.SendFailed, Reason: campaign.ReasonNoAnswer}, "", "failed failed no_answer", 0},
		"m-4": {campaign.Attempt{State: campaign.SendDropped, Reason: campaign.ReasonNotMade}, "", "dropped dropped call_not_made", 0},
	} {
		o := w.claimed(member)
		if o.Kind != campaign.KindCall || o.Deadline.IsZero() || o.Settled || o.InDoubt {
			t.Fatalf("%+v", o)
		}
		if err := w.Trying(ctx, campaign.ChannelCall, o.Key); err != nil {
			t.Fatal(err)
		}
		if got := w.ended(o.Key); got != "unknown claimed " {
			t.Errorf("while it is made it is %q", got)
		}
		c.end.Of, c.end.Channel = &o, campaign.ChannelCall
		for range 2 {
			if err := w.Record(ctx, c.end); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Record(ctx, answered(&o, "8")); err != nil {
			t.Fatal(err)
		}
		if got := w.ended(o.Key); got != c.settled {
			t.Errorf("%s: %q, want %q", member, got, c.settled)
		}
		if n := w.events(member); n != c.events {
			t.Errorf("%s has %d events, want %d", member, n, c.events)
		}
		if got := w.outcome(o.JourneyRow, 2); got != c.outcome {
			t.Errorf("%s ends as %q, want %q", member, got, c.outcome)
		}
	}
}

// A try at which the service was not asked counts for none.
func TestAnUntriedCallUsesUpNoTry(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := newWall(t, calling, nil)
	o := w.claimed("m-1")
	for _, untried := range []bool{true, false, true} {
		if err := w.Trying(ctx, campaign.ChannelCall, o.Key); err != nil {
			t.Fatal(err)
		}
		if err := w.Record(ctx, campaign.Attempt{Of: &o, Channel: campaign.ChannelCall, Reason: "down", NotDone: true, Untried: untried}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.outgoing(o.Key); got.Attempts != 1 || got.State != "claimed" {
		t.Errorf("%d attempts, %s", got.Attempts, got.State)
	}
}

// Two workers come back with different ends: one of them counts.
func TestACallIsSettledByOneOfMany(t *testing.T) {
	t.Parallel()
	w := newWall(t, calling, nil)
	o := w.claimed("m-1")
	var crew sync.WaitGroup
	for i := range 8 {
		crew.Go(func() {
			end := answered(&o, "7")
			if i%2 == 1 {
				end = campaign.Attempt{Of: &o, Channel: campaign.ChannelCall, State: campaign.SendRefused, Reason: "http_404"}
			}
			if err := w.Record(t.Context(), end); err != nil {
				t.Error(err)
			}
		})
	}
	crew.Wait()
	if n := w.events("m-1"); n != 1 {
		t.Errorf("%d events tell how it ended", n)
	}
	want := map[string]string{"sent settled ": "seven", "refused refused http_404": "no-crm"}[w.ended(o.Key)]
	if got := w.outcome(o.JourneyRow, 2); got != want {
		t.Errorf("the claim is %q and the journey %q", w.ended(o.Key), got)
	}
}

// An answer that comes when the time is over moves nothing, and the story tells of it.
func TestAnAnswerThatIsTooLate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := newWall(t, calling, nil)
	o := w.claimed("m-1")
	o.Deadline = o.Now.Add(-time.Microsecond)
	if err := w.Record(ctx, answered(&o, "7")); err != nil {
		t.Fatal(err)
	}
	if n := w.events("m-1"); n != 0 || w.ended(o.Key) != "sent settled " {
		t.Errorf("%d events, %s", n, w.ended(o.Key))
	}
	story, err := w.Story(ctx, "m-1")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, l := range story.Journeys[0].Lines {
		if l.Kind == campaign.TraceCallTooLate && l.Params["call"] == "crm" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d lines say that it came too late", told)
	}
	late := w.claimed("m-2")
	late.Deadline = late.Now.Add(-time.Microsecond)
	if err := w.Record(ctx, campaign.Attempt{Of: &late, Channel: campaign.ChannelCall, State: campaign.SendRefused, Reason: "http_404"}); err != nil {
		t.Fatal(err)
	}
	if n := w.events("m-2"); n != 0 {
		t.Errorf("%d events tell of a refusal that came too late", n)
	}
}

// A journey that is left settles its call; whoever comes back with an answer changes nothing.
func TestACallThatIsGivenUpIsSettled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := newWall(t, calling, nil)
	for member, want := range map[string]string{"m-1": "dropped dropped left_journey", "m-2": "failed failed left_journey"} {
		o := w.claimed(member)
		if member == "m-2" {
			if err := w.Trying(ctx, campaign.ChannelCall, o.Key); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.StoreEvents(ctx, []campaign.Event{{ID: "left-" + member, Type: "left", Member: member, Time: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		if got := w.outcome(o.JourneyRow, 2); got != campaign.OutcomeExited {
			t.Errorf("outcome %q", got)
		}
		if got := w.ended(o.Key); got != want {
			t.Errorf("%s: %q, want %q", member, got, want)
		}
		if err := w.Record(ctx, answered(&o, "7")); err != nil {
			t.Fatal(err)
		}
		if n := w.events(member); n != 1 || w.ended(o.Key) != want || !w.outgoing(o.Key).Settled {
			t.Errorf("%s: %d events, %q", member, n, w.ended(o.Key))
		}
	}
	// Calls are not among a member's messages.
	list, err := w.MemberMessages(ctx, "m-1")
	if err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// An address that does not open holds up what goes to it, and nothing else: neither the
// member's calls and webhooks nor the messages beside hers.
func TestAnAddressThatDoesNotOpenHoldsUpNobody(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := newWall(t, calling, nil)
	keys, err := store.ParseAddressKeys(keyA)
	if err != nil {
		t.Fatal(err)
	}
	store.WithAddressKeys(w.Store, keys)
	broken, whole := w.claimed("m-1"), w.claimed("m-2")
	if err := w.PutIdentities(ctx,
		mailOf("m-1", "lin@example.com"), store.IdentityPut{Member: "m-1", Kind: "phone", Address: "+8613800000001"}, mailOf("m-2", "mei@example.com"),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Pool().Exec(ctx, `update identities set address = '\x0102' where member = 'm-1' and kind = 'mail'`); err != nil {
		t.Fatal(err)
	}
	read := func() map[string]campaign.Outgoing {
		t.Helper()
		list, err := w.Outgoing(ctx, broken.Key, whole.Key)
		if err != nil || len(list) != 2 {
			t.Fatalf("%d messages, %v", len(list), err)
		}
		return map[string]campaign.Outgoing{list[0].Member: list[0], list[1].Member: list[1]}
	}
	out := read()
	for member, want := range map[string]string{"m-1": "mail  true; phone +8613800000001 false", "m-2": "mail mei@example.com false"} {
		var got []string
		for _, kind := range []campaign.IdentityKind{"mail", "phone"} {
			o := out[member]
			if i := o.Identity(kind, ""); i.ID != 0 {
				got = append(got, fmt.Sprintf("%s %s %v", i.Kind, i.Address, i.Sealed))
			}
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s is reached by %q, want %q", member, strings.Join(got, "; "), want)
		}
	}
	// A worker that was started before there was a key.
	store.WithAddressKeys(w.Store, nil)
	for member, o := range read() {
		if i := o.Identity("mail", ""); !i.Sealed || i.Address != "" || i.ID == 0 {
			t.Errorf("without the key %s is reached by %+v", member, i)
		}
	}
}

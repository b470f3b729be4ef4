package store_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const miniProgram = "wx2"

// permitAnswer is an event that tells of an answer, and the answer.
func permitAnswer(n int, openid, template string, accepted bool) (campaign.Event, store.PermitAnswer) {
	id := fmt.Sprintf("answer-%d", n)
	return campaign.Event{ID: id, Type: "subscription.answered", Member: "m-" + openid, Time: time.Now(), Properties: json.RawMessage(`{}`)},
		store.PermitAnswer{Event: id, Account: miniProgram, Address: openid, Template: template, Accepted: accepted}
}

func answers(t *testing.T, s *store.Store, n int, openid, template string, accepted bool) {
	t.Helper()
	e, a := permitAnswer(n, openid, template, accepted)
	if err := s.StoreAnswers(t.Context(), []campaign.Event{e}, []store.PermitAnswer{a}); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, s *store.Store, openid, template, key string) bool {
	t.Helper()
	taken, err := s.TakePermit(t.Context(), miniProgram, openid, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

const permitsLeft = `select coalesce(sum(permits), 0) from permits`

// TestPermits goes through the life of permits: an answer counts once, with its event or not
// at all, and a permit is for one message.
func TestPermits(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	if take(t, s, "o-1", "t1", "k-1") {
		t.Error("a permit that nobody gave")
	}
	for range 3 { // the platform tells it three times
		answers(t, s, 1, "o-1", "t1", true)
	}
	if n := count(t, s, permitsLeft); n != 1 || count(t, s, `select count(*) from events`) != 1 {
		t.Errorf("%d permits", n)
	}
	if n := count(t, s, `select count(*) from intents`); n != 1 {
		t.Errorf("%d intents: the event starts no journey", n)
	}
	for _, other := range [][2]string{{"o-2", "t1"}, {"o-1", "t2"}} {
		if take(t, s, other[0], other[1], "k-1") {
			t.Errorf("%v has a permit of o-1 for t1", other)
		}
	}
	for range 3 { // however often the message is tried
		if !take(t, s, "o-1", "t1", "k-1") {
			t.Error("there was a permit")
		}
	}
	if take(t, s, "o-1", "t1", "k-2") {
		t.Error("one permit serves two messages")
	}
	for range 3 { // however often it is given back
		if err := s.ReturnPermit(ctx, miniProgram, "o-1", "t1", "k-1"); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s, permitsLeft); n != 1 {
		t.Errorf("%d permits after one came back", n)
	}
	// Two answers of one callback, one of them an old one; then she refuses in her settings.
	known, sameAnswer := permitAnswer(1, "o-1", "t1", true)
	e2, a2 := permitAnswer(2, "o-1", "t1", true)
	e3, a3 := permitAnswer(3, "o-1", "t2", true)
	if err := s.StoreAnswers(ctx, []campaign.Event{e3, known, e2}, []store.PermitAnswer{a3, sameAnswer, a2}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, permitsLeft); n != 3 {
		t.Errorf("%d permits, want 3", n)
	}
	answers(t, s, 4, "o-1", "t1", false)
	if take(t, s, "o-1", "t1", "k-3") || !take(t, s, "o-1", "t2", "k-3") {
		t.Error("what she refused is one template, and that whole")
	}
	// The platform says 43101.
	answers(t, s, 5, "o-1", "t1", true)
	if err := s.EmptyPermits(ctx, miniProgram, "o-1", "t1"); err != nil {
		t.Fatal(err)
	}
	if take(t, s, "o-1", "t1", "k-4") {
		t.Error("the platform knows of no permit")
	}
	// An event that cannot be stored grants nothing.
	bad, answer := permitAnswer(6, "o-1", "t1", true)
	bad.Properties = json.RawMessage(`{"x":"\u0000"}`)
	if err := s.StoreAnswers(ctx, []campaign.Event{bad}, []store.PermitAnswer{answer}); campaign.CodeOf(err) != campaign.CodeInvalid {
		t.Errorf("error is %v", err)
	}
	if n := count(t, s, permitsLeft); n != 0 {
		t.Errorf("%d permits, want none", n)
	}
}

// TestManyTakeFewPermits: as many messages get a permit as there are.
func TestManyTakeFewPermits(t *testing.T) {
	t.Parallel()
	s := open(t)
	const permits, messages = 5, 24
	var group sync.WaitGroup
	for n := range permits * 2 { // each is told twice at once
		group.Go(func() { answers(t, s, n/2, "o-1", "t1", true) })
	}
	group.Wait()
	var got atomic.Int32
	for n := range messages * 2 { // each is tried twice at once
		group.Go(func() {
			taken, err := s.TakePermit(t.Context(), miniProgram, "o-1", "t1", fmt.Sprint("k-", n/2))
			if err != nil {
				t.Error(err)
			}
			if taken {
				got.Add(1)
			}
		})
	}
	group.Wait()
	if uses, left := count(t, s, `select count(*) from permit_uses`), count(t, s, permitsLeft); uses != permits || left != 0 || int(got.Load()) < permits || int(got.Load()) > 2*permits {
		t.Errorf("%d have one, %d are left, %d were told so", uses, left, got.Load())
	}
	if n, err := s.ForgetPermitUses(t.Context(), 10); err != nil || n != 0 {
		t.Errorf("%d are forgotten at once, %v", n, err)
	}
	if _, err := s.Pool().Exec(t.Context(), `update permit_uses set used_at = used_at - interval '31 days'`); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{3, 2, 0} {
		if n, err := s.ForgetPermitUses(t.Context(), 3); err != nil || n != want {
			t.Errorf("%d are forgotten, %v; want %d", n, err, want)
		}
	}
}

// TestPermitsOutliveANewKey: they are found by a hash that a key for addresses changes.
func TestPermitsOutliveANewKey(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.put(store.IdentityPut{Member: "m-1", Kind: campaign.IdentityOpenID, Account: miniProgram, Address: "o-1"},
		store.IdentityPut{Member: "m-2", Kind: campaign.IdentityOpenID, Account: miniProgram, Address: "o-1"})
	answers(t, b.Store, 1, "o-1", "t1", true)
	b.open(keyA)
	answers(t, b.Store, 2, "o-1", "t1", true) // by a program that has the key before all is sealed
	for range 2 {
		if err := b.SealAddresses(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range []bool{true, true, false} {
		if got := take(t, b.Store, "o-1", "t1", fmt.Sprint("k-", n)); got != want {
			t.Errorf("message %d: %v", n, got)
		}
	}
}

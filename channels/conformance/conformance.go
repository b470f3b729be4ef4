// Package conformance is the suite that every channel passes: what the engine may rely
// on, whichever platform is behind.
package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// RetryAfter is what a harness' receiver asks for when it throttles.
const RetryAfter = 7 * time.Second

// patience bounds waits for what should be immediate. Only a failing test needs it.
const patience = 10 * time.Second

// Fault is what the next request to the receiver shall meet.
type Fault string

// Faults that the suite asks for.
const (
	Refuse   Fault = "refuse"   // permanently no
	Throttle Fault = "throttle" // not now; come again after RetryAfter
	Drop     Fault = "drop"     // takes the message, and the answer is lost
	Stall    Fault = "stall"    // takes the message, and the answer never comes
)

// Harness is one channel with a receiver of its own behind it.
type Harness struct {
	Channel channels.Channel
	// Delivered gives the bodies that the receiver's person saw for a message: a
	// repeated key must not add one.
	Delivered func(m channels.Message) []string
	// Arrange makes the next request meet a fault, and says whether this channel can
	// meet it at all; the tests of those that it cannot are skipped.
	Arrange func(Fault) bool
	// To is how a member is reached, for a channel that goes by addresses.
	To func(member string) campaign.Identity
	// MaxBody is how long a text it takes, in bytes; 4,000 unless set, which is as long as a
	// message may be.
	MaxBody int
	// RetryAfter is how long a message rests that the receiver throttled, for a channel
	// whose platform cannot say it; RetryAfter unless set.
	RetryAfter time.Duration
	// Secrets are texts that must never be in an error, such as keys and passwords.
	Secrets []string
}

// Run runs the suite. Each test gets a harness of its own.
func Run(t *testing.T, harness func(t *testing.T) Harness) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"delivers once", deliversOnce},
		{"the same key twice is one delivery", sameKeyTwice},
		{"a large body stays intact", largeBody},
		{"a malformed message is refused", malformed},
		{"a caller who is gone gets nothing sent", alreadyCancelled},
		{"a message past its deadline is not sent", pastDeadline},
		{"cancellation ends a delivery under way", cancelledUnderWay},
		{"the deadline ends a delivery under way", deadlineUnderWay},
		{"a permanent no is refused", refused},
		{"not now is a retry with its time", throttled},
		{"a lost answer is unknown", dropped},
		{"concurrent use", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, harness(t)) })
	}
}

// message makes one with texts that no error may show.
func message(h Harness, name string) channels.Message {
	m := channels.Message{
		Key: "effect/fitness-trial/" + name + "/1", Channel: h.Channel.Name(),
		Campaign: "fitness-trial", Journey: "trial-to-card", Name: "card-offer", Member: "m-" + name,
		Body: "body-of-" + name + " 月卡 199 元 <b>&", Kind: campaign.KindMarketing,
		Subject: "subject-of-" + name,
		At:      time.Date(2026, 12, 1, 20, 15, 3, 0, time.UTC), Attempt: 1,
	}
	if h.To != nil {
		m.To = h.To(m.Member)
	}
	return m
}

func deliver(ctx context.Context, t *testing.T, h Harness, m channels.Message) error {
	t.Helper()
	_, err := h.Channel.Deliver(ctx, m)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*channels.Failure](err); !ok {
		t.Errorf("Deliver returned %T, want a *channels.Failure", err)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, secret := range append([]string{m.Body, m.Subject, m.Member, m.Key, m.To.Address}, h.Secrets...) {
			if secret != "" && strings.Contains(e.Error(), secret) {
				t.Errorf("the error's text %q shows %q", e, secret)
			}
		}
	}
	return err
}

func mustDeliver(t *testing.T, h Harness, m channels.Message) {
	t.Helper()
	if err := deliver(t.Context(), t, h, m); err != nil {
		t.Fatalf("Deliver: %v", err)
	}
}

func wantDelivered(t *testing.T, h Harness, m channels.Message, want ...string) {
	t.Helper()
	if got := h.Delivered(m); !slices.Equal(got, want) {
		t.Fatalf("delivered %q, want %q", got, want)
	}
}

func wantFailure(t *testing.T, err error, class channels.Class, reason string) {
	t.Helper()
	f := channels.AsFailure(err)
	if f == nil || f.Class != class || (reason != "" && f.Reason != reason) {
		t.Fatalf("failure is %v, want %s: %s", err, class, reason)
	}
}

func arrange(t *testing.T, h Harness, fault Fault) {
	t.Helper()
	if h.Arrange == nil || !h.Arrange(fault) {
		t.Skipf("this channel has no receiver that could %s", fault)
	}
}

func deliversOnce(t *testing.T, h Harness) {
	m := message(h, "once")
	mustDeliver(t, h, m)
	wantDelivered(t, h, m, m.Body)
}

func sameKeyTwice(t *testing.T, h Harness) {
	if !channels.Idempotent(h.Channel) {
		t.Skip("the channel's provider takes no key")
	}
	m := message(h, "twice")
	mustDeliver(t, h, m)
	m.Attempt = 2
	mustDeliver(t, h, m)
	wantDelivered(t, h, m, m.Body)
}

func largeBody(t *testing.T, h Harness) {
	m := message(h, "large")
	size := cmp.Or(h.MaxBody, 4000)
	m.Body = strings.Repeat("月", size/3) + "!!"[:size%3] // three bytes to a character
	mustDeliver(t, h, m)
	wantDelivered(t, h, m, m.Body)
}

func malformed(t *testing.T, h Harness) {
	for _, spoil := range []func(*channels.Message){
		func(m *channels.Message) { m.Key = "" },
		func(m *channels.Message) { m.Key = strings.Repeat("k", channels.MaxKeyBytes+1) },
		func(m *channels.Message) { m.Member = "" },
		func(m *channels.Message) { m.Body = "broken \xff text" },
	} {
		m := message(h, "malformed")
		spoil(&m)
		wantFailure(t, deliver(t.Context(), t, h, m), channels.ClassRefused, channels.ReasonInvalidMessage)
		wantDelivered(t, h, m)
	}
}

func alreadyCancelled(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := message(h, "gone")
	err := deliver(ctx, t, h, m)
	wantFailure(t, err, channels.ClassRetry, channels.ReasonCanceled)
	if !errors.Is(err, context.Canceled) {
		t.Error("errors.Is does not find context.Canceled")
	}
	wantDelivered(t, h, m)
}

func pastDeadline(t *testing.T, h Harness) {
	m := message(h, "late")
	m.Deadline = time.Now().Add(-time.Second)
	wantFailure(t, deliver(t.Context(), t, h, m), channels.ClassRefused, channels.ReasonDeadline)
	wantDelivered(t, h, m)
}

func cancelledUnderWay(t *testing.T, h Harness) {
	arrange(t, h, Stall)
	m := message(h, "cancelled")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := h.Channel.Deliver(ctx, m)
		done <- err
	}()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(patience)
	for len(h.Delivered(m)) == 0 {
		select {
		case <-look.C:
		case err := <-done:
			t.Fatalf("Deliver returned %v from a receiver that does not answer", err)
		case <-late:
			t.Fatal("nothing reached the receiver")
		}
	}
	cancel()
	select {
	case err := <-done:
		wantFailure(t, err, channels.ClassUnknown, channels.ReasonCanceled)
	case <-time.After(patience):
		t.Fatal("Deliver goes on after its context was cancelled")
	}
}

func deadlineUnderWay(t *testing.T, h Harness) {
	arrange(t, h, Stall)
	m := message(h, "deadline")
	// Far enough for the request to get out on a busy machine, and short of any
	// channel's own timeout.
	m.Deadline = time.Now().Add(time.Second)
	wantFailure(t, deliver(t.Context(), t, h, m), channels.ClassUnknown, channels.ReasonDeadline)
}

func refused(t *testing.T, h Harness) {
	arrange(t, h, Refuse)
	m := message(h, "refused")
	wantFailure(t, deliver(t.Context(), t, h, m), channels.ClassRefused, "")
	wantDelivered(t, h, m)
}

func throttled(t *testing.T, h Harness) {
	arrange(t, h, Throttle)
	m := message(h, "throttled")
	err := deliver(t.Context(), t, h, m)
	wantFailure(t, err, channels.ClassRetry, "")
	if got, want := channels.AsFailure(err).RetryAfter, cmp.Or(h.RetryAfter, RetryAfter); got != want {
		t.Errorf("retry after %v, want %v", got, want)
	}
	wantDelivered(t, h, m)
	mustDeliver(t, h, m)
	wantDelivered(t, h, m, m.Body)
}

func dropped(t *testing.T, h Harness) {
	arrange(t, h, Drop)
	m := message(h, "dropped")
	wantFailure(t, deliver(t.Context(), t, h, m), channels.ClassUnknown, "")
	wantDelivered(t, h, m, m.Body)
	if channels.Idempotent(h.Channel) {
		mustDeliver(t, h, m)
		wantDelivered(t, h, m, m.Body)
	}
}

func concurrent(t *testing.T, h Harness) {
	const senders, each = 16, 8
	var group sync.WaitGroup
	for sender := range senders {
		group.Go(func() {
			for n := range each {
				name := fmt.Sprintf("concurrent-%d-%d", sender, n)
				if channels.Idempotent(h.Channel) {
					name = fmt.Sprintf("concurrent-%d", n) // all senders at once under one key
				}
				if err := deliver(t.Context(), t, h, message(h, name)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	group.Wait()
	for n := range each {
		name := fmt.Sprintf("concurrent-0-%d", n)
		if channels.Idempotent(h.Channel) {
			name = fmt.Sprintf("concurrent-%d", n)
		}
		m := message(h, name)
		wantDelivered(t, h, m, m.Body)
	}
}

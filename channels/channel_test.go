package channels_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/banyanhq/banyan/channels"
)

type plain struct{ name string }

func (p plain) Name() string { return p.name }

func (plain) Deliver(context.Context, channels.Message) (channels.Receipt, error) {
	return channels.Receipt{}, nil
}

type keyed struct{ plain }

func (keyed) Idempotent() bool { return true }

func TestIdempotentIsSaidNotAssumed(t *testing.T) {
	if channels.Idempotent(plain{"a"}) || !channels.Idempotent(keyed{plain{"b"}}) {
		t.Error("a channel is idempotent exactly if it says so")
	}
}

func TestSet(t *testing.T) {
	set := channels.New(plain{"webhook"}, keyed{plain{"console"}})
	if c, ok := set.Get("console"); !ok || c.Name() != "console" {
		t.Errorf("Get(console) = %v, %v", c, ok)
	}
	if _, ok := set.Get("pigeon"); ok {
		t.Error("Get finds a channel that is not there")
	}
	if _, ok := (channels.Set{}).Get("console"); ok {
		t.Error("the zero set has a channel")
	}
	want := []string{"webhook", "console"}
	set.Names()[0] = "changed"
	if got := set.Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
	for _, list := range [][]channels.Channel{{plain{"a"}, keyed{plain{"a"}}}, {plain{}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%v) takes it", list)
				}
			}()
			channels.New(list...)
		}()
	}
}

func TestFailure(t *testing.T) {
	inner := channels.TryAgain("http_429", 3*time.Second, errors.New("a secret"))
	if got := inner.Error(); got != "retry: http_429" {
		t.Errorf("Error() = %q", got)
	}
	if f := channels.AsFailure(fmt.Errorf("sending: %w", inner)); f != inner {
		t.Errorf("AsFailure(wrapped) = %v", f)
	}
	if f := channels.AsFailure(errors.New("anything")); f.Class != channels.ClassUnknown {
		t.Errorf("an error that is no Failure has class %s", f.Class)
	}
	if f := channels.AsFailure(nil); f != nil {
		t.Errorf("AsFailure(nil) = %v", f)
	}
}

func TestContextReasonTellsWhoseTimeIsOver(t *testing.T) {
	past := channels.Message{Deadline: time.Now().Add(-time.Minute)}
	ctx, cancel := channels.WithDeadline(t.Context(), past)
	defer cancel()
	if got := channels.ContextReason(ctx); got != channels.ReasonDeadline {
		t.Errorf("after the message's deadline: %s", got)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Minute))
	defer cancel()
	if got := channels.ContextReason(ctx); got != channels.ReasonTimeout {
		t.Errorf("after the caller's: %s", got)
	}
	ctx, cancel = channels.WithDeadline(t.Context(), channels.Message{})
	cancel()
	if got := channels.ContextReason(ctx); got != channels.ReasonCanceled {
		t.Errorf("after a cancellation: %s", got)
	}
}

// Package activities does the work of workflows: it takes turns, sends messages and
// sweeps over members, and says of each error whether another try is worth while. An
// error's text stays in the worker's log; what Temporal records is its class.
package activities

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// Turns takes a turn of a journey, exactly once for each number.
type Turns interface {
	Advance(ctx context.Context, journey int64, turn int) (campaign.TurnResult, error)
	// AdvanceSlice turns the members of a slice that are due, page by page, as long as goOn
	// says so after each.
	AdvanceSlice(ctx context.Context, in campaign.SliceInput, goOn func() bool) (campaign.SliceResult, error)
}

// Sweeps looks at members page by page for those whom a segment lets in, as long as goOn says
// so after each.
type Sweeps interface {
	Sweep(ctx context.Context, in campaign.SweepInput, goOn func() bool) (campaign.SweepResult, error)
}

// Messages keeps claimed messages and how they ended.
type Messages interface {
	Outgoing(ctx context.Context, keys ...string) ([]campaign.Outgoing, error)
	OutgoingInSlice(ctx context.Context, slice int, channel string, most int) ([]campaign.Outgoing, error)
	NextInSlice(ctx context.Context, slice int) (map[string]time.Duration, error)
	Trying(ctx context.Context, channel string, keys ...string) error
	Record(ctx context.Context, attempts ...campaign.Attempt) error
}

// Activities holds what the activities need.
type Activities struct {
	Turns    Turns
	Sweeps   Sweeps
	Messages Messages
	Channels channels.Set
	Log      *slog.Logger
	// GiveUp is how long a message is tried before it counts as failed.
	GiveUp time.Duration
	// QueueSends leaves every send to its channel's task queue.
	QueueSends bool

	near near
}

// DefaultGiveUp is how long a message is tried: a day, which is longer than any outage
// of a receiver that somebody looks after, and as long as payment platforms repeat
// their own notifications.
const DefaultGiveUp = 24 * time.Hour

// Advance takes a turn of a journey.
func (a *Activities) Advance(ctx context.Context, journey int64, turn int) (campaign.TurnResult, error) {
	result, err := a.Turns.Advance(ctx, journey, turn)
	if err != nil {
		return result, a.failed(ctx, campaign.ActivityAdvance, err, slog.Int64("journey", journey), slog.Int("turn", turn))
	}
	for i := range result.Sends {
		result.Sends[i].Near = a.atHand(result.Sends[i].Channel)
	}
	return result, nil
}

// AdvanceSlice turns the members of a slice that are due.
func (a *Activities) AdvanceSlice(ctx context.Context, in campaign.SliceInput) (campaign.SliceResult, error) {
	result, err := a.Turns.AdvanceSlice(ctx, in, func() bool { return goOn(ctx) })
	if err != nil {
		return result, a.failed(ctx, campaign.ActivityAdvanceSlice, err, slog.Int("slice", in.Slice))
	}
	return result, nil
}

// Sweep looks at some pages of members.
func (a *Activities) Sweep(ctx context.Context, in campaign.SweepInput) (campaign.SweepResult, error) {
	result, err := a.Sweeps.Sweep(ctx, in, func() bool { return goOn(ctx) })
	if err != nil {
		return result, a.failed(ctx, campaign.ActivitySweep, err, slog.String("campaign", in.Campaign))
	}
	return result, nil
}

// goOn is called after each page of a long activity. It answers false when the worker is
// being stopped: the next one goes on with the next page.
func goOn(ctx context.Context) bool {
	activity.RecordHeartbeat(ctx)
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return false
	case <-ctx.Done():
		return false
	default:
		return true
	}
}

// failed logs an error and gives Temporal its class. Not found and invalid do not get
// better by trying; a fault of ours does when the worker is mended.
func (a *Activities) failed(ctx context.Context, activity string, err error, at ...any) error {
	code := campaign.CodeOf(err)
	if !errors.Is(err, context.Canceled) {
		a.Log.With(at...).ErrorContext(ctx, "activity failed", "activity", activity, "code", code, "error", err)
	}
	return temporal.NewApplicationErrorWithOptions(activity+": "+string(code), string(code), temporal.ApplicationErrorOptions{
		NonRetryable: code == campaign.CodeNotFound || code == campaign.CodeInvalid,
	})
}

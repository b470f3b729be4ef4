package channels

import (
	"context"
	"errors"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Class says what may be done about a message that was not delivered for certain.
type Class string

// Classes of failure.
const (
	// ClassRetry: it was not delivered, and another try is worth while.
	ClassRetry Class = "retry"
	// ClassRefused: it was not delivered, and never will be to this receiver or with
	// this content. The next channel of `via` may be tried.
	ClassRefused Class = "refused"
	// ClassUnknown: it may have been delivered. It is safe to repeat only where
	// Idempotent says so.
	ClassUnknown Class = "unknown"
	// ClassConfig: nobody can be reached until somebody mends the configuration. The
	// message is not at fault and must not be given up.
	ClassConfig Class = "config"
)

// Reasons that every channel uses in the same sense. A channel adds its own, in lower
// case with underscores; they become labels of metrics and lines of `explain`.
const (
	ReasonInvalidMessage = "invalid_message" // no key, no member, or text that is not UTF-8
	ReasonDeadline       = "deadline"        // the message's own deadline has passed
	ReasonCanceled       = "canceled"        // the caller does not wait any more
	ReasonTimeout        = "timeout"         // the channel's or the caller's time is over
	ReasonCircuitOpen    = "circuit_open"    // the receiver fails so often that it is left alone for a while; it was not asked
)

// Failure is the only kind of error that a channel returns. Its text holds the class
// and the reason and nothing else: no body, no address, no secret, no person.
//
//nolint:errname // it is what a failed delivery is called everywhere, traces and metrics included
type Failure struct {
	Class  Class
	Reason string // a short machine word
	// RetryAfter is how long the provider asked us to wait; zero means that it did not.
	RetryAfter time.Duration
	// Marks is what the answer says of the member's address, beyond this one message:
	// unreachable or opted out; empty: nothing.
	Marks campaign.IdentityState
	// Err is a cause for errors.Is. Its text is left out of Error, because a library's
	// words may quote an address with a secret in it.
	Err error
}

// Error gives class and reason, such as "retry: http_429".
func (f *Failure) Error() string { return string(f.Class) + ": " + f.Reason }

// Unwrap gives the cause, if any is known.
func (f *Failure) Unwrap() error { return f.Err }

// TryAgain makes a failure of ClassRetry; after is zero where the provider named no time.
func TryAgain(reason string, after time.Duration, err error) *Failure {
	return &Failure{Class: ClassRetry, Reason: reason, RetryAfter: after, Err: err}
}

// Refuse makes a failure of ClassRefused.
func Refuse(reason string, err error) *Failure {
	return &Failure{Class: ClassRefused, Reason: reason, Err: err}
}

// Unknown makes a failure of ClassUnknown.
func Unknown(reason string, err error) *Failure {
	return &Failure{Class: ClassUnknown, Reason: reason, Err: err}
}

// Misconfigured makes a failure of ClassConfig.
func Misconfigured(reason string, err error) *Failure {
	return &Failure{Class: ClassConfig, Reason: reason, Err: err}
}

// AsFailure finds the failure in a wrapped error. An error that is none says nothing
// about what happened, so it becomes ClassUnknown: the class that promises least.
// A nil error gives nil.
func AsFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return Unknown("unclassified", err)
}

// errDeadline marks a context that ended because of the message's own deadline.
var errDeadline = errors.New("the message's deadline has passed")

// WithDeadline bounds ctx by the message's deadline, if it has one, in a way that
// ContextReason can tell from the caller's own bounds.
func WithDeadline(ctx context.Context, m Message) (context.Context, context.CancelFunc) {
	if m.Deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, m.Deadline, errDeadline)
}

// ContextReason names why ctx ended: deadline, canceled or timeout.
func ContextReason(ctx context.Context) string {
	switch {
	case errors.Is(context.Cause(ctx), errDeadline):
		return ReasonDeadline
	case errors.Is(ctx.Err(), context.Canceled):
		return ReasonCanceled
	default:
		return ReasonTimeout
	}
}

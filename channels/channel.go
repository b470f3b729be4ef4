// Package channels says what a channel is: the way by which one message leaves the
// house, such as an HTTP call or a chat platform. Each channel is a folder below this
// one; package all lists them.
//
// A channel delivers one message and says honestly what became of it. It keeps no
// ledger, waits for no second try and knows nothing of campaigns: whoever calls it has
// claimed the message before, decides by the Class of a Failure whether to come again,
// and settles the outcome after.
package channels

import (
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
)

// Message is one message to one member, ready to go: every template is rendered and
// every rule has been asked.
type Message struct {
	// Key is the effect key: stable over all attempts, unique in the installation. It
	// goes to the provider, so that one who takes it delivers once however often we ask.
	Key string

	Channel  string // the channel that was chosen, by its Name
	Campaign string
	Journey  string
	Name     string // the message's name in the campaign
	Member   string // the caller's own id of the receiver

	Subject string // of a channel that has one
	Body    string
	Kind    campaign.MessageKind

	// To is how the member is reached, for a channel that Reaches by addresses.
	To campaign.Identity

	// At is when the message was decided, on the campaign's clock.
	At time.Time
	// Deadline is the real moment after which the message must not go out any more;
	// zero means none. A demo campaign's deadline is turned into real time by the caller.
	Deadline time.Time
	// Attempt counts from 1; zero means that the caller does not count.
	Attempt int
}

// Channel delivers messages through one platform. It is safe for concurrent use.
type Channel interface {
	// Name is the word by which a campaign's `via` names the channel.
	Name() string
	// Deliver hands one message over. It returns when ctx is done or the message's
	// deadline has passed, whatever the platform does. Every error is a *Failure.
	Deliver(ctx context.Context, m Message) (Receipt, error)
}

// Receipt is what a provider said when it took a message.
type Receipt struct {
	// ProviderID is the provider's own id of the message; empty where it gave none.
	ProviderID string
	// Returned is what a called service answered, by field; nil of a message.
	Returned map[string]json.RawMessage
}

// Idempotent reports whether the channel's provider takes our key, so that a message
// whose outcome is unknown may be sent again. A channel says so by an optional method
// Idempotent() bool; one without it must never be asked twice after ClassUnknown.
func Idempotent(c Channel) bool {
	says, ok := c.(interface{ Idempotent() bool })
	return ok && says.Idempotent()
}

// Forgets is how long an idempotent channel's provider remembers a message: after that it
// would deliver it again. Zero means for ever. A channel says so by an optional method
// Forgets() time.Duration.
func Forgets(c Channel) time.Duration {
	if says, ok := c.(interface{ Forgets() time.Duration }); ok {
		return says.Forgets()
	}
	return 0
}

// Reaches names the kind of address by which a channel reaches members, and the account of
// the platform to which it belongs. A channel says so by an optional method Reaches(); one
// without it goes by the caller's own ids of members, and kind is empty.
func Reaches(c Channel) (kind campaign.IdentityKind, account string) {
	if says, ok := c.(interface {
		Reaches() (campaign.IdentityKind, string)
	}); ok {
		return says.Reaches()
	}
	return "", ""
}

// Check asks a channel's platform whether it would take messages from us, and sends none.
// ok is false for a channel that cannot ask, which has no method Check. The error is for
// the person who set the channel up: it says what to do, and holds no secret.
func Check(ctx context.Context, c Channel) (ok bool, err error) {
	says, ok := c.(interface {
		Check(ctx context.Context) error
	})
	if !ok {
		return false, nil
	}
	return true, says.Check(ctx)
}

// MaxKeyBytes bounds an effect key. Workflow ids, from which keys are built, hold at
// most 200 characters of up to four bytes; the rest is room for the effect's own part.
const MaxKeyBytes = 1024

// Ready makes the checks with which every channel begins, so that all refuse the same
// messages in the same words: the message can be told apart and written down, somebody
// still waits for the answer, and its deadline has not passed at the real moment now.
func Ready(ctx context.Context, m Message, now time.Time) error {
	switch {
	case m.Key == "" || len(m.Key) > MaxKeyBytes || !utf8.ValidString(m.Key), m.Member == "", !utf8.ValidString(m.Body):
		return Refuse(ReasonInvalidMessage, nil)
	case ctx.Err() != nil:
		return TryAgain(ContextReason(ctx), 0, ctx.Err())
	case !m.Deadline.IsZero() && !now.Before(m.Deadline):
		return Refuse(ReasonDeadline, context.DeadlineExceeded)
	}
	return nil
}

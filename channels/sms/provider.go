package sms

import (
	"context"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// SMS is one text to one number, ready for a provider.
type SMS struct {
	Key     string // the effect key
	Number  string // E.164, such as +8613800000001
	Text    string // without the signature, which the provider puts in front
	Sign    string // the signature's name, without its brackets; empty: none
	Kind    campaign.MessageKind
	Parts   int // in which it travels, with the signature
	Attempt int

	// Template and Parameters give the text, for a provider that sends approved templates
	// only; Template is empty where no templates are configured.
	Template   string
	Parameters []string
}

// Provider hands texts to somebody who sends them. It is safe for concurrent use. Its
// failures hold no number, no text and no secret.
type Provider interface {
	// Send hands one text over, and says under which id the provider has it.
	Send(ctx context.Context, m *SMS) (id string, f *channels.Failure)
	// Idempotent reports whether the provider takes our key, so that a text whose answer was
	// lost may be handed over again.
	Idempotent() bool
	// Check asks whether the account is in order, and sends nothing. The error is for the
	// person who set it up.
	Check(ctx context.Context, templates []Template) error
}

// Package sms is the channel that sends texts to phones. Who sends them is a Provider: a
// vendor's API, or a gateway that a company runs. docs/channels/sms.md says what it can and
// cannot promise.
package sms

import (
	"context"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// Name is the channel's name in `via`.
const Name = "sms"

// Reasons of this channel, beside those of its providers.
const (
	ReasonNoTemplate = "no_template" // no approved template gives this text
	ReasonNoOptOut   = "no_opt_out"  // a marketing text does not say how to opt out
	ReasonTooLong    = "too_long"
	ReasonParts      = "too_many_parts" // it would cost more than BANYAN_SMS_MAX_PARTS allows
	ReasonNumber     = "invalid_number"
)

// Channel sends texts. It is safe for concurrent use.
type Channel struct {
	provider  Provider
	templates []Template
	wording   Wording
	maxParts  int
	timeout   time.Duration
	now       func() time.Time
}

// Name gives "sms".
func (c *Channel) Name() string { return Name }

// Reaches says that texts go to phone numbers.
func (c *Channel) Reaches() (campaign.IdentityKind, string) { return campaign.IdentityPhone, "" }

// Idempotent is what the provider says of itself: Tencent takes no key, a gateway does.
func (c *Channel) Idempotent() bool { return c.provider.Idempotent() }

// String keeps a Channel that somebody prints from showing its secrets.
func (c *Channel) String() string { return Name }

// Check asks the provider whether the account is in order.
func (c *Channel) Check(ctx context.Context) error { return c.provider.Check(ctx, c.templates) }

// Deliver hands the text to the provider.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, c.now()); err != nil {
		return channels.Receipt{}, err
	}
	if m.To.Address == "" {
		return channels.Receipt{}, channels.Refuse(campaign.ReasonNoAddress, nil)
	}
	text, f := c.compose(m)
	if f != nil {
		return channels.Receipt{}, f
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, c.timeout)
	defer cancelTimeout()
	id, f := c.provider.Send(ctx, text)
	if f != nil {
		return channels.Receipt{}, f
	}
	return channels.Receipt{ProviderID: plainID(id)}, nil
}

// compose makes the text as it is handed over, or says why it is not.
func (c *Channel) compose(m channels.Message) (*SMS, *channels.Failure) {
	number, why := campaign.ParseAddress(campaign.IdentityPhone, m.To.Address)
	if why != "" {
		f := channels.Refuse(ReasonNumber, nil)
		f.Marks = campaign.IdentityUnreachable
		return nil, f
	}
	words, ok := c.wording.text(m.Body, m.Kind)
	if !ok {
		return nil, channels.Refuse(ReasonNoOptOut, nil)
	}
	text := &SMS{Key: m.Key, Number: number, Text: words, Sign: c.wording.Sign, Kind: m.Kind, Attempt: m.Attempt}
	whole := c.wording.front() + words
	traits, _ := campaign.ChannelByName(Name)
	text.Parts = Parts(whole, mainland(number))
	switch {
	case words == "":
		return nil, channels.Refuse(channels.ReasonInvalidMessage, nil)
	case Characters(whole) > traits.MaxCharacters:
		return nil, channels.Refuse(ReasonTooLong, nil)
	case c.maxParts > 0 && text.Parts > c.maxParts:
		return nil, channels.Refuse(ReasonParts, nil)
	case len(c.templates) == 0:
		return text, nil
	}
	t, parameters, ok := Match(Usable(c.templates, m.Kind, !mainland(number)), words)
	if !ok {
		return nil, channels.Refuse(ReasonNoTemplate, nil)
	}
	text.Template, text.Parameters = t.ID, parameters
	return text, nil
}

// Usable lists the templates that a message of this kind to such a number may use.
func Usable(templates []Template, kind campaign.MessageKind, international bool) (usable []Template) {
	if kind == "" {
		kind = campaign.KindMarketing
	}
	for _, t := range templates {
		if t.International == international && (t.Kind == "" || t.Kind == kind) {
			usable = append(usable, t)
		}
	}
	return usable
}

func mainland(number string) bool { return strings.HasPrefix(number, "+86") }

// plainID leaves out what is no plain short text: it would go to the database and to
// people's screens.
func plainID(id string) string {
	if len(id) > 200 || strings.ContainsFunc(id, func(r rune) bool { return r < '!' || r > '~' }) {
		return ""
	}
	return id
}

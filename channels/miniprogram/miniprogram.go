// Package miniprogram is the channel of WeChat mini programs (小程序): a subscribe message
// (订阅消息) to a user who has permitted one. docs/channels/miniprogram.md says what it can
// and cannot promise.
package miniprogram

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
	"github.com/banyanhq/banyan/channels/wecom"
	"github.com/banyanhq/banyan/channels/weixin"
)

// Name is the channel's name in `via`.
const Name = "miniprogram"

const path = "/cgi-bin/message/subscribe/send"

// Reasons of this channel.
const (
	ReasonNoTemplate = "no_template" // no template of the file gives this text
	ReasonTooLong    = "too_long"    // a value is longer than its place in the template takes
)

// codeNoPermit is the platform's: she refused, or what she permitted is used up.
const codeNoPermit = 43101

// settleWithin bounds how long the ledger may take to hear how a message ended.
const settleWithin = 5 * time.Second

// Permits is the ledger of what users have permitted, over all workers: each permit is
// for one message by one template. Key is the message's own; it takes one permit at most,
// however often it is tried.
type Permits interface {
	// TakePermit takes a permit for the message; taken is false where there is none.
	TakePermit(ctx context.Context, account, openid, template, key string) (taken bool, err error)
	// ReturnPermit gives back what the message took; it was surely not delivered.
	ReturnPermit(ctx context.Context, account, openid, template, key string) error
	// EmptyPermits notes that the platform knows of no permit.
	EmptyPermits(ctx context.Context, account, openid, template string) error
}

// Config is the channel's section. An empty Account.Secret leaves the channel out.
type Config struct {
	Account weixin.Account
	// Templates is the text of a file of templates; see ParseTemplates.
	Templates []byte
	// Permits is the ledger; nil: the platform alone knows, and says 43101.
	Permits Permits
}

// String shows the app id and nothing secret.
func (c Config) String() string { return c.Account.String() }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Channel sends subscribe messages. The platform has no key against a second delivery, so it
// is not Idempotent: a lost answer is unknown and stays so, and its permit counts as used.
type Channel struct {
	client    *weixin.Client
	templates []Template
	permits   Permits
}

// New checks the configuration and makes the channel. It touches no network.
func New(cfg Config) (*Channel, error) {
	client, err := weixin.NewClient(cfg.Account, "MINIPROGRAM")
	if err != nil {
		return nil, err
	}
	if len(cfg.Templates) == 0 {
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_MINIPROGRAM_TEMPLATES_FILE names the file that lists the templates of subscribe messages (订阅消息)")
	}
	templates, err := ParseTemplates(cfg.Templates)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_MINIPROGRAM_TEMPLATES_FILE: %w", err)
	}
	return &Channel{client, templates, cfg.Permits}, nil
}

// Name gives "miniprogram".
func (c *Channel) Name() string { return Name }

// Reaches says that messages go to openids of one mini program.
func (c *Channel) Reaches() (campaign.IdentityKind, string) {
	return campaign.IdentityOpenID, c.client.App()
}

// String keeps a Channel that somebody prints from showing its secret.
func (c *Channel) String() string { return Name }

// Check gets a token for the account.
func (c *Channel) Check(ctx context.Context) error { return c.client.Check(ctx) }

// request is the body of message/subscribe/send.
type request struct {
	ToUser   string           `json:"touser"`
	Template string           `json:"template_id"`
	Page     string           `json:"page,omitempty"`
	Data     map[string]value `json:"data"`
}

type value struct {
	Value string `json:"value"`
}

// reply is what it says beside its code, of late.
type reply struct {
	Message json.RawMessage `json:"msgid"`
}

// id is the platform's number of the message; empty for what is none.
func (r *reply) id() string {
	id := strings.Trim(string(r.Message), `"`)
	if len(id) > 40 || strings.Trim(id, "0123456789") != "" {
		return ""
	}
	return id
}

// Deliver sends the text by the template that gives it, for one permit of hers. The permit
// is taken before the platform is asked, and given back where it surely delivered nothing.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, time.Now()); err != nil {
		return channels.Receipt{}, err
	}
	if m.To.Address == "" {
		return channels.Receipt{}, channels.Refuse(campaign.ReasonNoAddress, nil)
	}
	t, values, why := match(c.templates, m.Kind, m.Body)
	if why != "" {
		return channels.Receipt{}, channels.Refuse(why, nil)
	}
	data := make(map[string]value, len(values))
	for key, v := range values {
		data[key] = value{v}
	}
	body, err := outbound.JSON(request{ToUser: m.To.Address, Template: t.ID, Page: t.Page, Data: data})
	if err != nil {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	if f := c.take(ctx, m, t.ID); f != nil {
		return channels.Receipt{}, f
	}
	var said reply
	if f := c.client.Post(ctx, path, body, &said); f != nil {
		return channels.Receipt{}, c.settle(ctx, m, t.ID, f)
	}
	return channels.Receipt{ProviderID: said.id()}, nil
}

// take takes a permit for the message, or says why it cannot go.
func (c *Channel) take(ctx context.Context, m channels.Message, template string) *channels.Failure {
	if c.permits == nil {
		return nil
	}
	taken, err := c.permits.TakePermit(ctx, c.client.App(), m.To.Address, template, m.Key)
	switch {
	case err != nil && channels.ContextReason(ctx) == channels.ReasonDeadline && ctx.Err() != nil:
		return channels.Refuse(channels.ReasonDeadline, ctx.Err())
	case err != nil && ctx.Err() != nil:
		return channels.TryAgain(channels.ContextReason(ctx), 0, ctx.Err())
	case err != nil: // what it says may name an address
		return channels.TryAgain("permits", 0, nil)
	case !taken:
		return channels.Refuse(campaign.ReasonNoPermit, nil)
	}
	return nil
}

// settle tells the ledger how a message failed. Where the ledger does not hear of it, one
// permit fewer is known than there is, and never one more; a message that is tried again
// finds the permit that it took.
func (c *Channel) settle(ctx context.Context, m channels.Message, template string, f *channels.Failure) *channels.Failure {
	none := f.Reason == wecom.Reason(codeNoPermit)
	if none {
		f = channels.Refuse(campaign.ReasonNoPermit, nil)
	}
	if c.permits == nil || f.Class == channels.ClassUnknown {
		return f
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	if none {
		_ = c.permits.EmptyPermits(ctx, c.client.App(), m.To.Address, template) // the platform says so again
	} else {
		_ = c.permits.ReturnPermit(ctx, c.client.App(), m.To.Address, template, m.Key) // see above
	}
	return f
}

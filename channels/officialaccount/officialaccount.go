// Package officialaccount is the channel of WeChat official accounts (公众号): a text as a
// customer-service message to a follower who has just done something there.
// docs/channels/officialaccount.md says what it can and cannot promise.
package officialaccount

import (
	"context"
	"log/slog"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
	"github.com/banyanhq/banyan/channels/weixin"
)

// Name is the channel's name in `via`.
const Name = "officialaccount"

const path = "/cgi-bin/message/custom/send"

// Config is the channel's section. An empty Account.Secret leaves the channel out.
type Config struct {
	Account weixin.Account
}

// String shows the app id and nothing secret.
func (c Config) String() string { return c.Account.String() }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Channel sends customer-service messages. It has no key of the platform's against a second
// delivery, so it is not Idempotent: a lost answer is unknown and stays so.
type Channel struct {
	client *weixin.Client
	most   int // bytes of a text
}

// New checks the configuration and makes the channel. It touches no network.
func New(cfg Config) (*Channel, error) {
	client, err := weixin.NewClient(cfg.Account, "OFFICIALACCOUNT")
	if err != nil {
		return nil, err
	}
	traits, _ := campaign.ChannelByName(Name)
	return &Channel{client, traits.MaxBytes}, nil
}

// Name gives "officialaccount".
func (c *Channel) Name() string { return Name }

// Reaches says that messages go to openids of one account.
func (c *Channel) Reaches() (campaign.IdentityKind, string) {
	return campaign.IdentityOpenID, c.client.App()
}

// String keeps a Channel that somebody prints from showing its secret.
func (c *Channel) String() string { return Name }

// request is the body of message/custom/send.
type request struct {
	ToUser  string `json:"touser"`
	MsgType string `json:"msgtype"`
	Text    text   `json:"text"`
}

type text struct {
	Content string `json:"content"`
}

// Deliver sends the text to one follower. Whether she has done something of late that
// allows it is known to the platform, which hears of her more than we do: it refuses with
// 45015 or 45047, and the next channel is tried.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, time.Now()); err != nil {
		return channels.Receipt{}, err
	}
	switch {
	case m.To.Address == "":
		return channels.Receipt{}, channels.Refuse(campaign.ReasonNoAddress, nil)
	case len(m.Body) > c.most:
		return channels.Receipt{}, channels.Refuse("too_long", nil)
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	body, err := outbound.JSON(request{ToUser: m.To.Address, MsgType: "text", Text: text{m.Body}})
	if err != nil {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	if f := c.client.Post(ctx, path, body, nil); f != nil {
		return channels.Receipt{}, f
	}
	return channels.Receipt{}, nil
}

// Check gets a token for the account.
func (c *Channel) Check(ctx context.Context) error { return c.client.Check(ctx) }
